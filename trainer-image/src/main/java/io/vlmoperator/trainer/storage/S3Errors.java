package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.Optional;
import java.util.Set;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.exception.SdkException;

/** What an error of the SDK means, for a person. */
final class S3Errors {
    private static final Set<String> UNKNOWN_KEYS = Set.of(
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidToken",
            "ExpiredToken",
            "InvalidSecurity",
            "AuthorizationHeaderMalformed");

    static final String RIGHTS =
            "ListBucket, GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucketMultipartUploads are needed";

    private final String endpoint;

    /** @param endpoint for messages */
    S3Errors(String endpoint) {
        this.endpoint = endpoint;
    }

    static boolean isMissing(SdkException e) {
        return status(e) == 404 && !code(e).equals("NoSuchBucket");
    }

    static boolean isRefusedCondition(SdkException e) {
        // 409: another conditional write of the same object was faster.
        return status(e) == 412 || code(e).equals("ConditionalRequestConflict");
    }

    private static int status(SdkException e) {
        return e instanceof AwsServiceException service ? service.statusCode() : 0;
    }

    private static String code(SdkException e) {
        return e instanceof AwsServiceException service && service.awsErrorDetails() != null
                ? Optional.ofNullable(service.awsErrorDetails().errorCode()).orElse("")
                : "";
    }

    /** @param doing such as "can't read" */
    IOException of(String doing, ObjectName name, SdkException e) {
        String message = Optional.ofNullable(e.getMessage())
                .orElse(e.toString())
                .lines()
                .findFirst()
                .orElse("");
        String code = code(e);
        int status = status(e);
        String what = doing + " " + name + ": ";
        if (isMissing(e)) {
            return new NoSuchFileException(name.toString());
        }
        if (code.equals("NoSuchBucket")) {
            return new StoreException(
                    what + "there is no bucket " + name.bucket() + " at " + endpoint
                            + "; make it, or correct the location (or AWS_ENDPOINT_URL)",
                    true,
                    e);
        }
        if (UNKNOWN_KEYS.contains(code)) {
            return new StoreException(
                    what + "the credentials are not accepted by " + endpoint + " (" + code
                            + "); correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the Secret of secretRef",
                    true,
                    e);
        }
        if (status == 403) {
            return new StoreException(
                    what + "access denied" + (code.isEmpty() ? "" : " (" + code + ")") + "; " + RIGHTS, true, e);
        }
        if (status == 0 && message.contains("Unable to load credentials")) {
            return new StoreException(
                    what + "there are no credentials; name a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in"
                            + " secretRef, or use a service account with a role",
                    true,
                    e);
        }
        if (status == 0 && message.contains("Unable to load region")) {
            return new StoreException(
                    what + "the region is not known; set AWS_REGION in the Secret of secretRef", true, e);
        }
        return new StoreException(
                what + (code.isEmpty() ? "" : code + ", ") + message + " (at " + endpoint + ")", false, e);
    }
}
