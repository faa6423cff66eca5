package io.vlmoperator.local.node;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PathRewriterTest {
    private final PathRewriter rewriter =
            new PathRewriter(Path.of("/run/p/root"), List.of("/mnt/data", "/etc/app/", "/dev/termination-log", "/run"));

    @ParameterizedTest(name = "{0} -> {1}")
    @CsvSource({
        "/mnt/data, /run/p/root/mnt/data",
        "/mnt/data/, /run/p/root/mnt/data/",
        "/mnt/data/a/b.tar, /run/p/root/mnt/data/a/b.tar",
        "/mnt, /run/p/root/mnt",
        "/mnt/database, /mnt/database",
        "/mnt/data/../x, /mnt/data/../x",
        "/etc/app/f, /run/p/root/etc/app/f",
        "/etc/hosts, /etc/hosts",
        "/etc, /run/p/root/etc",
        "/dev/null, /dev/null",
        "/dev/termination-log, /run/p/root/dev/termination-log",
        "/, /",
        "--dir=/mnt/data/x, --dir=/run/p/root/mnt/data/x",
        "-Dvlm.dir=/mnt/data, -Dvlm.dir=/run/p/root/mnt/data",
        "dir=/mnt/data, dir=/mnt/data",
        "--url=http://a/mnt/data, --url=http://a/mnt/data",
        "cat /mnt/data/x, cat /mnt/data/x",
        "'/mnt/data/a,/mnt/data/b', '/run/p/root/mnt/data/a,/mnt/data/b'",
        "/run/p/root/mnt/data, /run/p/root/mnt/data",
        "/run/other, /run/p/root/run/other",
        "pvc://data/x, pvc://data/x",
    })
    void onlyWholeAbsolutePathsThatConcernAMountAreRewritten(String value, String expected) {
        assertThat(rewriter.rewrite(value)).isEqualTo(expected);
    }
}
