package io.vlmoperator.trainer.data;

/** Why a sample, or what is left of a shard, is not used. The name is what status and reject file show. */
public enum RejectReason {
    /** The shard holds no sample at all. */
    EmptyShard,
    /** The tar ends before its end marker, or inside a member: what follows is lost. */
    TruncatedTar,
    /** The file is compressed; members can't be read in place. */
    CompressedTar,
    /** The file is no tar, or its headers are damaged from some place on. */
    NotATar,
    /** A member's name is absolute or climbs out with {@code ..}. */
    UnsafeName,
    /** Links, devices and other members that are no files. */
    UnsupportedMember,
    /** The uid stood in an earlier place; the first one counts. */
    DuplicateUid,
    /** The image stood in an earlier place, by the rule of the spec; the first one counts. */
    DuplicateImage,
    /** The image is nearly that of an earlier kept sample, by the distance of the spec. */
    NearDuplicateImage,
    /** A url that is none, an address inside, or what robots.txt or the answer's headers disallow. */
    DownloadRefused,
    /** No answer, a broken one, or one that is no success, after all tries. */
    DownloadFailed,
    DownloadTimeout,
    DownloadTooLarge,
    ImageMissing,
    /** The data ends too early, is corrupt, or is no picture. */
    ImageUndecodable,
    /** A picture format this version does not read. */
    ImageUnsupported,
    /** More pixels or bytes than are decoded. */
    ImageTooLarge,
    ImageTooSmall,
    ImageAspect,
    /** The path of an image leaves its folder. */
    UnsafeImagePath,
    CaptionMissing,
    CaptionEmpty,
    InvalidUtf8,
    CaptionTooLong,
    CaptionTooShort,
    /** Too many characters that are neither letters nor digits, by the rule of the spec. */
    CaptionLetters,
    /** Too many words that stood before in the caption, by the rule of the spec. */
    CaptionRepetition,
    /** Longer than the context; samples are never cut. */
    SampleTooLong,
    JsonInvalid,
    JsonWithoutKey,
    /** Turns that are no conversation: roles, order, empty list. */
    ConversationInvalid,
    /** Lists of texts and images that are no document. */
    DocumentInvalid,
    /** The places of images in the text are not as many as the images. */
    ImagePlaces
}
