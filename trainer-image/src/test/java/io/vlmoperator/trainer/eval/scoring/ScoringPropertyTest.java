package io.vlmoperator.trainer.eval.scoring;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.Size;

/** A generated answer may be any string: no rule may fail on it, hang, or answer with a letter that is no option. */
class ScoringPropertyTest {
    @Property(tries = 500)
    void lettersAreOptions(@ForAll("answers") String answer, @ForAll @Size(min = 2, max = 8) List<String> texts) {
        SequencedMap<String, String> options = new LinkedHashMap<>();
        texts.forEach(text -> options.put(Character.toString('A' + options.size()), text));

        for (Optional<String> letter : List.of(
                MultipleChoice.infer(answer, options),
                MultipleChoice.strict(answer, options),
                Mmmu.choice(answer, options))) {
            letter.ifPresent(found -> assertThat(options).containsKey(found));
        }
        assertThat(MultipleChoice.firstCharacterIs(answer, "A") && MultipleChoice.firstCharacterIs(answer, "B"))
                .isFalse();
    }

    @Property(tries = 500)
    void aLetterAloneIsItself(
            @ForAll("letters") String letter, @ForAll("marks") String before, @ForAll("marks") String after) {
        SequencedMap<String, String> options = new LinkedHashMap<>();
        List.of("tree", "kite", "boat", "lamp")
                .forEach(text -> options.put(Character.toString('A' + options.size()), text));

        assertThat(MultipleChoice.strict(before + letter + after, options)).contains(letter);
    }

    @Property(tries = 500)
    void vqaStaysBetweenZeroAndOne(@ForAll("answers") String answer, @ForAll @Size(max = 10) List<String> golds) {
        for (VqaAccuracy.Periods periods : VqaAccuracy.Periods.values()) {
            assertThat(VqaAccuracy.vqa(answer, golds, periods, VqaAccuracy.Truth.Full))
                    .isBetween(0.0, 1.0);
            assertThat(VqaAccuracy.textVqa(answer, golds, periods)).isBetween(0.0, 1.0);
        }
    }

    @Property(tries = 500)
    void numbersNeverFail(@ForAll("answers") String answer) {
        for (MathVista.Gold gold : List.of(
                new MathVista.Gold.Whole(12),
                new MathVista.Gold.Decimal(3.75, 1),
                new MathVista.Gold.Text("yes"),
                new MathVista.Gold.Choice("a", List.of("a", "b")))) {
            MathVista.Verdict verdict = MathVista.score(answer, gold);
            assertThat(verdict.hit() && verdict.extracted().isEmpty()).isFalse();
        }
        Mmmu.open(answer, List.of("5", "five", ""));
        ShortAnswer.yesByWords(answer);
        ShortAnswer.yesStrictly(answer);
    }

    @Provide
    Arbitrary<String> letters() {
        return Arbitraries.of("A", "B", "C", "D");
    }

    @Provide
    Arbitrary<String> marks() {
        return Arbitraries.strings().withChars(".()[],:;!*#{} \n").ofMaxLength(5);
    }

    /** Anything, and strings dense in what the rules look for. */
    @Provide
    Arbitrary<String> answers() {
        return Arbitraries.oneOf(
                Arbitraries.strings().ofMaxLength(60),
                Arbitraries.of(
                                "A",
                                "B",
                                "(",
                                ")",
                                ".",
                                ",",
                                "1",
                                "-",
                                "=",
                                " ",
                                "\u00a0",
                                "answer is",
                                "$",
                                "e9",
                                "9999999999",
                                "٣",
                                "\ud83d",
                                "İ",
                                "so",
                                "not",
                                "'s",
                                "$1",
                                "\\")
                        .list()
                        .ofMaxSize(40)
                        .map(parts -> String.join("", parts)));
    }
}
