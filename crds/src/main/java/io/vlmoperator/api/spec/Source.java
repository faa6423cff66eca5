package io.vlmoperator.api.spec;

/**
 * One place samples come from; exactly one of the four forms is set.
 *
 * @param name names the source in the status
 */
public record Source(
        String name, WebDataset webDataset, UrlList urlList, Conversations conversations, Interleaved interleaved) {

    /** Tars of samples: KEY.jpg|png|webp, KEY.txt (caption), KEY.json. */
    public record WebDataset(String location) {}

    /** A table of urls and captions that are downloaded. */
    public record UrlList(
            String location, String urlColumn, String captionColumn, String uidColumn, Integer shorterSide) {
        public UrlList {
            urlColumn = Defaults.or(urlColumn, "url");
            captionColumn = Defaults.or(captionColumn, "text");
            uidColumn = Defaults.or(uidColumn, "uid");
            shorterSide = Defaults.or(shorterSide, 512);
        }
    }

    /** LLaVA conversations (JSON or JSON lines) and the folder that their image paths are relative to. */
    public record Conversations(String location, String images) {}

    /** Documents of several images and texts. */
    public record Interleaved(String location) {}
}
