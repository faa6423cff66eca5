package io.vlmoperator.operator.web;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.smallrye.common.annotation.Blocking;
import io.vlmoperator.operator.status.StatusCodec;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;

/** {@code GET /v1/overview}: what the page polls. */
@Path("/v1/overview")
public class OverviewResource {
    private final Overview overview;

    public OverviewResource(Overview overview) {
        this.overview = overview;
    }

    @GET
    @Blocking
    @Produces(MediaType.APPLICATION_JSON)
    public String rows() throws JsonProcessingException {
        return StatusCodec.json().writeValueAsString(overview.rows());
    }
}
