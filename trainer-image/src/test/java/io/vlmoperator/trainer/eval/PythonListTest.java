package io.vlmoperator.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PythonListTest {
    @Test
    void whatPythonPrints() {
        assertThat(PythonList.parse("[]")).contains(List.of());
        assertThat(PythonList.parse("['a cat']")).contains(List.of("a cat"));
        assertThat(PythonList.parse("['two', \"it's\", 'a \\'b\\' \\\\', 'x\\ny', '']"))
                .contains(List.of("two", "it's", "a 'b' \\", "x\ny", ""));
        assertThat(PythonList.parse("[ 'a' ,\n 'b' , ]")).contains(List.of("a", "b"));
        assertThat(PythonList.parse("[\"a\",\"b, [c]\"]")).contains(List.of("a", "b, [c]"));
    }

    @Test
    void whatIsATextItself() {
        for (String text : List.of(
                "",
                "a",
                "[",
                "]",
                "[1, 2]",
                "['a' 'b']",
                "['a'",
                "['a]",
                "['a', b]",
                "['a']]",
                "[,]",
                "['a',,]",
                "['\\']")) {
            assertThat(PythonList.parse(text)).as(text).isEmpty();
        }
        assertThat(PythonList.parse("[" + "'a',".repeat(1001) + "]")).isEmpty();
    }

    @Test
    void anythingEnds() {
        Random random = new Random(1);
        String signs = "[]'\"\\, ab\n";
        for (int i = 0; i < 20_000; i++) {
            StringBuilder cell = new StringBuilder("[");
            for (int n = random.nextInt(9); n >= 0; n--) {
                cell.append(signs.charAt(random.nextInt(signs.length())));
            }
            assertThat(PythonList.parse(cell.append(']').toString())).isNotNull();
        }
    }
}
