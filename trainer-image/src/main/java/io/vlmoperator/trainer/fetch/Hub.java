package io.vlmoperator.trainer.fetch;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.spec.Fetch.HuggingFace;
import io.vlmoperator.api.spec.Fetch.RepositoryKind;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Collectors;

/**
 * Repositories of a model hub that speaks Hugging Face's protocol: {@code /api/models/ID/revision/REV} lists the files of a commit with
 * their digests, {@code /ID/resolve/COMMIT/FILE} sends or redirects to one.
 *
 * @param endpoint without a slash at its end
 * @param token goes to the endpoint only
 */
record Hub(URI endpoint, Optional<String> token, Http http) {
    /** Where repositories lie unless {@code HF_ENDPOINT} names another place. */
    static final String DEFAULT_ENDPOINT = "https://huggingface.co";

    private static final int MAX_LIST_BYTES = 64 << 20;
    private static final int MAX_FILES = 200_000;

    /**
     * Files of one commit.
     *
     * @param commit that the revision names now
     */
    record Revision(String commit, List<RemoteFile> files) {}

    /** All files of a revision. */
    Revision files(HuggingFace wanted) throws IOException {
        String kind = wanted.kind() == RepositoryKind.Dataset ? "datasets" : "models";
        URI list = URI.create(endpoint + "/api/" + kind + "/" + encoded(wanted.repository()) + "/revision/"
                + URLEncoder.encode(wanted.revision(), StandardCharsets.UTF_8).replace("+", "%20") + "?blobs=true");
        JsonNode answer;
        try (RemoteFile.Body body = http.get(list, token, 0, (s, c, m) -> refusal(wanted, s, c))) {
            byte[] text;
            try {
                text = body.in().readNBytes(MAX_LIST_BYTES + 1);
            } catch (IOException e) {
                throw FetchException.passing(list + " broke off: " + e.getMessage(), java.time.Duration.ZERO, e);
            }
            if (text.length > MAX_LIST_BYTES) {
                throw FetchException.data(list + ": a list of more than " + MAX_LIST_BYTES + " bytes");
            }
            if (body.total().isPresent() && text.length < body.total().getAsLong()) {
                throw FetchException.passing(list + " broke off", java.time.Duration.ZERO, null);
            }
            answer = new ObjectMapper().readTree(text);
        } catch (JsonProcessingException e) {
            throw FetchException.data(list + " answers with something else than JSON; is HF_ENDPOINT a model hub?");
        }
        String commit = answer.path("sha").asText("");
        JsonNode siblings = answer.path("siblings");
        if (!commit.matches("[0-9a-f]{40}") || !siblings.isArray()) {
            throw FetchException.data(list + " names no commit or no files; is HF_ENDPOINT a model hub?");
        }
        if (siblings.size() > MAX_FILES) {
            throw FetchException.data(wanted.repository() + " has more than " + MAX_FILES + " files");
        }
        List<RemoteFile> files = new ArrayList<>();
        for (JsonNode sibling : siblings) {
            files.add(file(wanted, commit, sibling));
        }
        return new Revision(commit, files);
    }

    private RemoteFile file(HuggingFace wanted, String commit, JsonNode sibling) throws FetchException {
        String name = sibling.path("rfilename").asText("");
        JsonNode lfs = sibling.path("lfs");
        String sha256 = lfs.path("sha256").asText("");
        String blob = sibling.path("blobId").asText("");
        long size = lfs.path("size").asLong(sibling.path("size").asLong(-1));
        Optional<Digest> digest = sha256.matches("[0-9a-fA-F]{64}")
                ? Optional.of(new Digest(Digest.Kind.SHA256, sha256))
                : lfs.isObject() || !blob.matches("[0-9a-fA-F]{40}")
                        ? Optional.empty()
                        : Optional.of(new Digest(Digest.Kind.GIT_BLOB, blob));
        String prefix = wanted.kind() == RepositoryKind.Dataset ? "/datasets/" : "/";
        URI uri = URI.create(
                endpoint + prefix + encoded(wanted.repository()) + "/resolve/" + commit + "/" + encoded(name));
        return new RemoteFile(
                name, size < 0 ? OptionalLong.empty() : OptionalLong.of(size), digest, new RemoteFile.Origin() {
                    @Override
                    public RemoteFile.Body open(long from) throws IOException {
                        return http.get(uri, token, from, (s, c, m) -> refusal(wanted, s, c));
                    }

                    @Override
                    public String toString() {
                        return wanted.repository() + "@" + commit + "/" + name;
                    }
                });
    }

    private static String encoded(String path) {
        return Arrays.stream(path.split("/"))
                .map(part -> URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20"))
                .collect(Collectors.joining("/"));
    }

    private Optional<FetchException> refusal(HuggingFace wanted, int status, String code) {
        String what = wanted.repository() + ": ";
        String withToken = token.isPresent() ? "the account of HF_TOKEN" : "nobody without a token";
        if (code.equals("GatedRepo")) {
            return Optional.of(FetchException.configuration(what + "the repository is gated, and " + withToken
                    + " may read it; accept its terms on its page, and put a token of that account as HF_TOKEN into the"
                    + " Secret of output.secretRef"));
        }
        if (code.equals("RevisionNotFound")) {
            return Optional.of(FetchException.configuration(
                    what + "there is no revision " + wanted.revision() + "; name a branch, a tag or a commit"));
        }
        if (code.equals("EntryNotFound")) {
            return Optional.of(FetchException.data(what + "a file of the list is not there"));
        }
        if (status == 401 || status == 403 || status == 404 || code.equals("RepoNotFound")) {
            return Optional.of(FetchException.configuration(what + "there is no such "
                    + (wanted.kind() == RepositoryKind.Dataset ? "dataset" : "model") + " repository at " + endpoint
                    + ", or it is private and "
                    + withToken + " may read it (HTTP " + status
                    + "); correct the name or kind, or put a token as HF_TOKEN into the Secret of output.secretRef"));
        }
        return Optional.empty();
    }
}
