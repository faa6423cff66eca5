package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What somebody reads who gave the wrong words. */
class BadWordsTest {
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            plan ../examples/open-qwen2vl --gpu H100-80G --only PretrainJob/ov2vl --samples 0 | --samples is 0
            plan ../examples/open-qwen2vl --gpu None --only PretrainJob/ov2vl                 | --gpu 'None' is not known
            plan ../examples/open-qwen2vl --gpu H100-80G --only EvalJob/ov2vl                 | there is no PretrainJob or SFTJob EvalJob/ov2vl
            generate --checkpoint / --prompt x                                                | / holds no checkpoint and no exported model
            import --to x                                                                     | import needs --llava DIR, or --language DIR
            data                                                                              | there are data fetch and data score, too
            """)
    void whatToWriteInstead(String line, String message) {
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(said, true, StandardCharsets.UTF_8);
        int code = Main.run(List.of(line.split(" +")), Map.of(), out, out);
        assertThat(said.toString(StandardCharsets.UTF_8)).contains(message);
        assertThat(code).isEqualTo(ExitCode.InvalidConfiguration.code());
    }

    @Test
    void errorsWhoseMessageIsANameSayMore() {
        Map<IOException, String> said = Map.of(
                new NoSuchFileException("/a/b"), "/a/b does not exist",
                new FileAlreadyExistsException("/a/b"), "/a/b exists already",
                new AccessDeniedException("/a/b"), "/a/b may not be read or written",
                new NotDirectoryException("/a/b"), "/a/b is no folder",
                new DirectoryNotEmptyException("/a/b"), "/a/b is a folder that is not empty");
        said.forEach((error, words) -> {
            assertThat(Ending.message(error)).startsWith(words);
            assertThat(Ending.code(error)).isEqualTo(ExitCode.StorageFailed);
        });
    }
}
