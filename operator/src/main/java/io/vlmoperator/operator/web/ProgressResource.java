package io.vlmoperator.operator.web;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.smallrye.common.annotation.Blocking;
import io.vertx.core.http.HttpServerRequest;
import io.vlmoperator.operator.progress.ProgressService;
import io.vlmoperator.operator.status.StatusCodec;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.util.Optional;

/** {@code POST /v1/progress/{namespace}/{plural}/{name}}. */
@Path("/v1/progress/{namespace}/{plural}/{name}")
public class ProgressResource {
    private static final String BEARER = "Bearer ";

    private final ProgressService service;

    public ProgressResource(ProgressService service) {
        this.service = service;
    }

    @POST
    @Blocking
    public Response report(
            @PathParam("namespace") String namespace,
            @PathParam("plural") String plural,
            @PathParam("name") String name,
            @HeaderParam("Authorization") String authorization,
            @Context HttpServerRequest request,
            byte[] body)
            throws JsonProcessingException {
        if (!request.isSSL()) {
            return Response.status(403)
                    .entity("{\"error\":\"Reports are taken over HTTPS only\"}")
                    .build();
        }
        Optional<String> token =
                authorization != null && authorization.regionMatches(true, 0, BEARER, 0, BEARER.length())
                        ? Optional.of(authorization.substring(BEARER.length()).strip())
                        : Optional.empty();
        var reply = service.report(namespace, plural, name, token, body == null ? new byte[0] : body);
        return Response.status(reply.status())
                .type(MediaType.APPLICATION_JSON)
                .entity(StatusCodec.json().writeValueAsString(reply.body()))
                .build();
    }
}
