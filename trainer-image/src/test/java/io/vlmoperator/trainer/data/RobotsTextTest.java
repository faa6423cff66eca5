package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RobotsTextTest {
    private static RobotsText parse(String text) {
        return RobotsText.parse(text.getBytes(StandardCharsets.UTF_8), "vlm-operator");
    }

    /** The examples of RFC 9309, section 5, and the rules of section 2.2. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "/fish|/fish|true",
                "/fish|/fish.html|true",
                "/fish|/Fish.asp|false",
                "/fish*|/fishheads/yummy.html?id=anything|true",
                "/fish/|/fish|false",
                "/fish/|/fish/?id=x|true",
                "/*.php|/folder/any.php.file.html|true",
                "/*.php|/windows.PHP|false",
                "/*.php$|/folder/filename.php|true",
                "/*.php$|/filename.php?parameters|false",
                "/fish*.php|/fishheads/catfish.php?parameters|true",
                "/fish*.php|/Fish.PHP|false",
                "/|/any|true",
                "*|/any|true",
                "$|/any|false",
                "/a$b|/a$b|true",
                "/foo/bar?baz=%2f|/foo/bar?baz=%2F|true",
                "/foo/bar/\u30C4|/foo/bar/%E3%83%84|true",
                "/foo/bar/%62%61%7A|/foo/bar/baz|true",
                "/a%2Fb|/a/b|false",
                "/*/*/*z|/x/y/abz|true",
                "/*/*/*z$|/x/yz|false"
            })
    void patterns(String pattern, String path, boolean fits) {
        RobotsText robots = parse("User-agent: *\nDisallow: " + pattern + "\n");
        assertThat(robots.allows(path)).isEqualTo(!fits);
    }

    @Test
    void theLongestRuleOfOurGroupsDecides() {
        String text = """
                # a comment
                Disallow: /before-any-group
                User-Agent: OtherBot
                Disallow: /other

                user-agent: VLM-Operator/2.0
                User-agent: ThirdBot
                Disallow: /images   # not these
                Allow: /images/free
                Allow: /tie
                Disallow: /tie
                Sitemap: https://example.com/map.xml

                User-agent: *
                Disallow: /
                User-agent: vlm-operator
                Disallow: /later
                """;
        RobotsText robots = parse(text);
        assertThat(robots.allows("/images/a.jpg")).isFalse();
        assertThat(robots.allows("/images/free/a.jpg")).isTrue();
        assertThat(robots.allows("/tie")).isTrue();
        assertThat(robots.allows("/later/x")).isFalse();
        assertThat(robots.allows("/other")).isTrue();
        assertThat(robots.allows("/before-any-group")).isTrue();
        assertThat(robots.allows("")).isTrue();
        assertThat(parse(text.replace("\n", "\r\n")).allows("/images/a.jpg")).isFalse();
        RobotsText everyone =
                parse("User-agent: a\nUser-agent: *\nDisallow: /x\nDisallow:\nUser-agent: b\nDisallow: /\n");
        assertThat(everyone.allows("/x")).isFalse();
        assertThat(everyone.allows("/y")).isTrue();
        assertThat(parse("User-agent: vlm-operator\nUser-agent: *\nDisallow: /").allows("/y"))
                .isFalse();
        assertThat(parse("User-agent: vlm-operator\nDisallow:\n\nUser-agent: *\nDisallow: /")
                        .allows("/y"))
                .isTrue();
    }

    @Test
    void anythingIsReadWithinBounds() {
        Random random = new Random(4);
        String letters = "aA*$/%2F:# \n\r\0\u00e9user-agent:disallow:allow:";
        for (int round = 0; round < 2_000; round++) {
            StringBuilder text = new StringBuilder("User-agent: *\nDisallow: ");
            for (int i = random.nextInt(60); i > 0; i--) {
                text.append(letters.charAt(random.nextInt(letters.length())));
            }
            parse(text.toString()).allows("/" + text.reverse());
        }
        // Stars that fit almost everywhere, as many as are kept.
        RobotsText stars = parse("User-agent: *\nDisallow: " + "*a".repeat(30_000) + "b\n".repeat(1)
                + "Disallow: /secret\n" + "#".repeat(1 << 20));
        assertThat(stars.allows("/" + "a".repeat(8_000))).isTrue();
        assertThat(stars.allows("/secret")).isFalse();
        assertThat(RobotsText.parse(new byte[] {(byte) 0xFF, (byte) 0xFE, 0}, "vlm-operator")
                        .allows("/x"))
                .isTrue();
    }
}
