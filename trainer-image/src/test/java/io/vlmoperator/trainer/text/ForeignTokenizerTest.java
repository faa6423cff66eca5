package io.vlmoperator.trainer.text;

import io.vlmoperator.trainer.Mutations;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** Tokenizers that are nearly good: refused by name, or they encode. */
class ForeignTokenizerTest {
    private static Path folder;

    @BeforeContainer
    static void make() throws IOException {
        folder = Files.createTempDirectory("tokenizer");
    }

    @AfterContainer
    static void delete() throws IOException {
        Files.deleteIfExists(folder.resolve("tokenizer.json"));
        Files.delete(folder);
    }

    @Provide
    Arbitrary<byte[]> tokenizers() throws IOException {
        return Mutations.of(List.of(Files.readAllBytes(Path.of("src/test/resources/tokenizer/small/tokenizer.json"))));
    }

    @Property(seed = "7", tries = 25, edgeCases = EdgeCasesMode.NONE)
    void tokenizer(@ForAll("tokenizers") byte[] bytes) throws IOException {
        Files.write(folder.resolve("tokenizer.json"), bytes);
        Mutations.read(256L << 20, Set.of(TrainerException.class), () -> {
            try (Tokenizer tokenizer = Tokenizer.load(folder)) {
                tokenizer.encode("a b <|im_end|> \u00e9");
            }
        });
    }
}
