package io.vlmoperator.trainer.storage;

import software.amazon.awssdk.core.SdkRequest;
import software.amazon.awssdk.core.exception.RetryableException;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectRequest;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.UploadPartRequest;

/**
 * Lets a request be tried again whose answer broke off in its head: the JDK's client takes what came for all of it. Answers about
 * an object name its state, so one without was cut.
 */
final class WholeAnswers implements ExecutionInterceptor {
    @Override
    public void afterTransmission(Context.AfterTransmission context, ExecutionAttributes attributes) {
        SdkHttpResponse answer = context.httpResponse();
        if (answer.isSuccessful()
                && isOfObject(context.request())
                && (lacks(answer, "ETag")
                        || context.request() instanceof HeadObjectRequest && lacks(answer, "Content-Length"))) {
            throw RetryableException.create("the answer broke off");
        }
    }

    private static boolean isOfObject(SdkRequest request) {
        return request instanceof HeadObjectRequest
                || request instanceof GetObjectRequest
                || request instanceof PutObjectRequest
                || request instanceof UploadPartRequest;
    }

    private static boolean lacks(SdkHttpResponse answer, String header) {
        return answer.firstMatchingHeader(header).isEmpty();
    }
}
