package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** One place samples come from; exactly one of the four forms is set. */
@ValidationRule(
        value =
                "[has(self.webDataset), has(self.urlList), has(self.conversations), has(self.interleaved)].filter(x, x).size() == 1",
        message = Messages.SOURCE_FORM)
public record Source(
        @JsonPropertyDescription("Names the source in the status.")
        @Required
        @Size(min = 1, max = 63)
        @Pattern(Patterns.FREE_NAME)
        String name,

        @JsonPropertyDescription("Tars of samples: KEY.jpg, png or webp, KEY.txt (caption), KEY.json.")
        WebDataset webDataset,

        @JsonPropertyDescription("A table of urls and captions that are downloaded into tars under the output.")
        UrlList urlList,

        @JsonPropertyDescription("LLaVA conversations.") Conversations conversations,

        @JsonPropertyDescription("Documents of several images and texts.")
        Interleaved interleaved) {
    /** Tars of samples: KEY.jpg|png|webp, KEY.txt (caption), KEY.json. */
    public record WebDataset(
            @JsonPropertyDescription("The tars, such as pvc://data/ccs/{00000..01302}.tar or pvc://data/ccs/*.tar.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATIONS)
            String location) {}

    /** A table of urls and captions that are downloaded. */
    public record UrlList(
            @JsonPropertyDescription("Files of urls and captions: .parquet, .csv or .jsonl.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATIONS)
            String location,

            @JsonPropertyDescription("Column of the url.")
            @Default("url")
            @Size(min = 1, max = 128)
            @Pattern(Patterns.COLUMN)
            String urlColumn,

            @JsonPropertyDescription("Column of the caption.")
            @Default("text")
            @Size(min = 1, max = 128)
            @Pattern(Patterns.COLUMN)
            String captionColumn,

            @JsonPropertyDescription("Column of the sample's id.")
            @Default("uid")
            @Size(min = 1, max = 128)
            @Pattern(Patterns.COLUMN)
            String uidColumn,

            @JsonPropertyDescription("Larger images are scaled to this shorter side, in pixels.")
            @Default("512")
            @Min(1)
            @Max(65_536)
            Integer shorterSide,

            @JsonPropertyDescription("Downloads at once, in each worker.") @Default("64") @Min(1) @Max(1024)
            Integer connections,

            @JsonPropertyDescription("Downloads at once from one host, in each worker.")
            @Default("4")
            @Min(1)
            @Max(1024)
            Integer connectionsPerHost,

            @JsonPropertyDescription("Longest time of one try, in seconds.") @Default("30") @Min(1) @Max(3600)
            Integer timeoutSeconds,

            @JsonPropertyDescription("Tries after the first one (429, 5xx, broken connections), with growing pauses.")
            @Default("2")
            @Min(0)
            @Max(20)
            Integer retries,

            @JsonPropertyDescription("Largest file in bytes.") @Default("33554432") @Min(1) @Max(67_108_864)
            Integer maxBytes,

            @JsonPropertyDescription(
                    "Whether what a host's robots.txt disallows, and an answer with X-Robots-Tag noai, noimageai, noindex or noimageindex, is left out.")
            @Default("true")
            Boolean honorRobots,

            @JsonPropertyDescription("Whether addresses of private, loopback and link-local networks may be asked.")
            @Default("false")
            Boolean allowPrivateAddresses) {
        public UrlList {
            urlColumn = Defaults.or(urlColumn, "url");
            captionColumn = Defaults.or(captionColumn, "text");
            uidColumn = Defaults.or(uidColumn, "uid");
            shorterSide = Defaults.or(shorterSide, 512);
            connections = Defaults.or(connections, 64);
            connectionsPerHost = Defaults.or(connectionsPerHost, 4);
            timeoutSeconds = Defaults.or(timeoutSeconds, 30);
            retries = Defaults.or(retries, 2);
            maxBytes = Defaults.or(maxBytes, 32 << 20);
            honorRobots = Defaults.or(honorRobots, true);
            allowPrivateAddresses = Defaults.or(allowPrivateAddresses, false);
        }
    }

    /** LLaVA conversations (JSON or JSON lines) and the folder that their image paths are relative to. */
    public record Conversations(
            @JsonPropertyDescription("JSON or JSON lines files of LLaVA conversations.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATIONS)
            String location,

            @JsonPropertyDescription("Folder that the image paths are relative to. Missing: text only.")
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
            String images) {}

    /** Documents of several images and texts. */
    public record Interleaved(
            @JsonPropertyDescription(
                    "The documents: .json, .jsonl or tars of .json, with OBELICS' parallel lists images and texts, or MMC4's text_list and image_info.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATIONS)
            String location,

            @JsonPropertyDescription(
                    "Folder that the image paths are relative to. Missing: images are data urls or Base64.")
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
            String images) {}
}
