package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.Optional;
import java.util.Set;
import javax.xml.stream.XMLStreamException;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.exception.SdkException;

/** What an error of the SDK means, for a person. */
final class S3Errors {
    private static final Set<String> UNKNOWN_KEYS = Set.of(
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidToken",
            "InvalidSecurity",
            "AuthorizationHeaderMalformed");

    private static final Set<String> EXPIRED = Set.of("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired");

    static final String RIGHTS =
            "ListBucket, GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucketMultipartUploads are needed";

    private final String endpoint;

    /** @param endpoint for messages */
    S3Errors(String endpoint) {
        this.endpoint = endpoint;
    }

    static boolean isMissing(SdkException e) {
        return status(e) == 404 && !code(e).equals("NoSuchBucket") && !isUnknownUpload(e);
    }

    /** An upload in parts that was ended, or completed: the second try of completing it says so when the first one's answer was lost. */
    static boolean isUnknownUpload(SdkException e) {
        return code(e).equals("NoSuchUpload");
    }

    /** An answer in XML that ends too early, because the connection broke; the SDK takes it for a wrong one that stays wrong. */
    static boolean isCutAnswer(Throwable e) {
        Throwable cause = e;
        for (int depth = 0; cause != null && depth < 20; depth++) {
            if (cause instanceof XMLStreamException) {
                return true;
            }
            cause = cause.getCause();
        }
        return false;
    }

    /** Whether what was asked for may have been done all the same: the connection broke, or the server does not know. */
    static boolean isOpen(SdkException e) {
        return status(e) == 0 || status(e) >= 500;
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
        if (EXPIRED.contains(code)) {
            return new StoreException(
                    what + "the credentials have expired (" + code
                            + "); renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and"
                            + " AWS_SESSION_TOKEN in the Secret of secretRef, or use a service account with a role, which renews them",
                    true,
                    e);
        }
        if (code.equals("RequestTimeTooSkewed")) {
            return new StoreException(
                    what + "this machine's clock differs too much from that of " + endpoint + "; set it by NTP",
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
