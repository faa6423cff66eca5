package io.vlmoperator.trainer.data;

/**
 * One sample of a shard, or one complaint about the shard: a line of its index.
 *
 * @param uid of the sample; empty for a complaint about the shard
 * @param key as people find it again in the shard
 * @param imageOffset place of the image in the tar; 0 for conversations, whose images are files of their own
 * @param imageType jpeg, png, gif, webp, or empty
 * @param textOffset place of the caption, or of the conversation's JSON object
 * @param textTokens ids that are no image
 * @param length positions in a row with every image expanded
 * @param digest 128 bits of the sample's bytes
 * @param imageHash tells images apart where repeated ones are refused; 0 elsewhere
 * @param reason empty when the sample is used
 * @param specialTokenLiterals control tokens that stand literally in the text
 * @param imageLiterals literal image places that were renamed
 */
record IndexRow(
        String uid,
        String key,
        long imageOffset,
        int imageSize,
        String imageType,
        int width,
        int height,
        long textOffset,
        int textSize,
        long jsonOffset,
        int jsonSize,
        int textTokens,
        int images,
        int length,
        long bytes,
        String digest,
        long imageHash,
        String reason,
        String detail,
        int specialTokenLiterals,
        int imageLiterals) {
    private static final int MAX_TEXT = 300;

    /** A sample that is not used, or a complaint about the whole shard. */
    static IndexRow rejected(String uid, String key, RejectReason reason, String detail) {
        return new IndexRow(
                uid, cut(key), 0, 0, "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", 0, reason.name(), cut(detail), 0, 0);
    }

    boolean used() {
        return reason.isEmpty();
    }

    static String cut(String text) {
        return text.length() <= MAX_TEXT ? text : text.substring(0, MAX_TEXT) + "...";
    }
}
