package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/** Files that are brought into storage before the sources are read; exactly one of the three origins is set. */
@ValidationRule(
        value = "[has(self.huggingFace), has(self.urls), has(self.folder)].filter(x, x).size() == 1",
        message = Messages.FETCH_FORM)
public record Fetch(
        @JsonPropertyDescription("Folder that the files are brought to; its list fetched.json is written last.")
        @Required
        @Size(max = 1024)
        @Pattern(Patterns.LOCATION)
        String to,

        @JsonPropertyDescription(
                "A revision of a Hugging Face repository. A token comes as HF_TOKEN from the Secret of output.secretRef.")
        HuggingFace huggingFace,

        @JsonPropertyDescription("Single files.") @Size(min = 1, max = 64)
        List<Url> urls,

        @JsonPropertyDescription("Another folder of storage, such as an S3 prefix.")
        Folder folder) {
    public Fetch {
        urls = urls == null ? null : Defaults.copy(urls);
    }

    /** What a repository holds. */
    public enum RepositoryKind {
        Model,
        Dataset
    }

    /** A revision of a Hugging Face repository. */
    public record HuggingFace(
            @JsonPropertyDescription("Name of the repository, such as Qwen/Qwen2.5-1.5B-Instruct.")
            @Required
            @Size(min = 1, max = 192)
            @Pattern(Patterns.REPOSITORY)
            String repository,

            @JsonPropertyDescription("Branch, tag or commit; a commit is what can be repeated.")
            @Default("main")
            @Size(min = 1, max = 128)
            @Pattern(Patterns.REVISION)
            String revision,

            @JsonPropertyDescription("What the repository holds.") @Default("Model")
            RepositoryKind kind,

            @JsonPropertyDescription(
                    "Files to bring, such as *.safetensors; * stays inside one folder, ** does not. Missing: all but those that begin with a dot.")
            @Size(max = 64)
            List<@Size(min = 1, max = 256) String> files) {
        public HuggingFace {
            revision = Defaults.or(revision, "main");
            kind = Defaults.or(kind, RepositoryKind.Model);
            files = Defaults.copy(files);
        }
    }

    /** One file and what its content must come to. */
    public record Url(
            @JsonPropertyDescription("Where the file is.") @Required @Size(max = 2048) @Pattern(Patterns.URL)
            String url,

            @JsonPropertyDescription("SHA-256 of its content, 64 hexadecimal digits.")
            @Required
            @Size(max = 64)
            @Pattern(Patterns.SHA256)
            String sha256,

            @JsonPropertyDescription("Its name in the folder. Missing: the last part of the url's path.")
            @Size(min = 1, max = 128)
            @Pattern(Patterns.FREE_NAME)
            String name) {}

    /** Another folder of storage. */
    public record Folder(
            @JsonPropertyDescription("The folder, such as s3://bucket/prefix; with all that lies deeper.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
            String location,

            @JsonPropertyDescription(
                    "Files to bring, such as *.tar; * stays inside one folder, ** does not. Missing: all but those that begin with a dot.")
            @Size(max = 64)
            List<@Size(min = 1, max = 256) String> files) {
        public Folder {
            files = Defaults.copy(files);
        }
    }
}
