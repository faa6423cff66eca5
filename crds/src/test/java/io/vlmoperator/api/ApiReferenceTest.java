package io.vlmoperator.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** {@code src/docs/api.md} says what the types say. */
class ApiReferenceTest {
    private static final Path FILE = Path.of("../src/docs/api.md");

    @Test
    void checkedInReferenceIsThatOfTheTypes() throws IOException {
        String written = ApiReference.write();
        if (Boolean.getBoolean("vlm.crds.write")) {
            Files.writeString(FILE, written);
        }
        assertThat(Files.readString(FILE))
                .as("%s is older than the types: run `make crds`", FILE)
                .isEqualTo(written);
    }

    @Test
    void everyLinkHasItsHeadingAndNoHeadingComesTwice() {
        String written = ApiReference.write();
        TreeSet<String> headings = new TreeSet<>();
        Matcher heading = Pattern.compile("(?m)^#{2,3} (.*)$").matcher(written);
        while (heading.find()) {
            String anchor = heading.group(1).toLowerCase(java.util.Locale.ROOT).replace(".", "");
            assertThat(headings.add(anchor)).as("heading %s", heading.group(1)).isTrue();
        }
        Matcher link = Pattern.compile("\\]\\(#([^)]*)\\)").matcher(written);
        while (link.find()) {
            assertThat(headings).contains(link.group(1));
        }
    }
}
