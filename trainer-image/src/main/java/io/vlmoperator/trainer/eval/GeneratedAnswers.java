package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.trainer.model.Generator;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Generates answers greedily and reads them: {@code Strict} and {@code PaperCompatible}. */
final class GeneratedAnswers implements Asker {
    /** The paper's harness ends an answer at the first of these, so that 1.5 becomes "1". */
    static final List<String> PAPER_STOPS = List.of(".", ",", "\n");

    private final Subject subject;
    private final Protocol protocol;
    private final Rule rule;
    private final int maxNewTokens;
    private final List<Question> shots;
    private final Generator generator;
    private final Set<Integer> stops;

    /** @param shots answered before every question */
    GeneratedAnswers(Subject subject, Protocol protocol, Rule rule, int maxNewTokens, List<Question> shots) {
        if (protocol == Protocol.OptionLikelihood) {
            throw new IllegalArgumentException(protocol + " generates nothing");
        }
        this.subject = subject;
        this.protocol = protocol;
        this.rule = rule;
        this.maxNewTokens = maxNewTokens;
        this.shots = List.copyOf(shots);
        generator = new Generator(subject.model());
        stops = stops(subject.tokenizer(), protocol);
    }

    /** The tokens that end every answer. */
    static Set<Integer> ends(Tokenizer tokenizer) {
        Set<Integer> ends = new HashSet<>();
        ends.add(tokenizer.id(Tokenizer.MESSAGE_END));
        tokenizer.find(Tokenizer.END_OF_TEXT).ifPresent(ends::add);
        return Set.copyOf(ends);
    }

    private static Set<Integer> stops(Tokenizer tokenizer, Protocol protocol) {
        Set<Integer> stops = new HashSet<>(ends(tokenizer));
        if (protocol == Protocol.PaperCompatible) {
            for (String stop : PAPER_STOPS) {
                int[] ids = tokenizer.encode(stop);
                if (ids.length == 1) {
                    stops.add(ids[0]);
                }
            }
        }
        return Set.copyOf(stops);
    }

    @Override
    public List<EncodedText> texts(Question question) {
        return List.of(
                protocol == Protocol.Strict
                        ? Prompts.strict(subject.tokenizer(), shots, question, rule.instruction())
                        : Prompts.paper(subject.tokenizer(), shots, question, rule.instruction()));
    }

    @Override
    public int room() {
        return maxNewTokens;
    }

    @Override
    public List<Answer> ask(List<Seen> questions) {
        List<EncodedText> prompts =
                questions.stream().map(seen -> seen.texts().getFirst()).toList();
        List<List<float[]>> images = questions.stream().map(Seen::images).toList();
        List<int[]> said = generator.greedy(
                Sequences.batch(prompts, images, subject.tokensPerImage(), subject.imageSize()), maxNewTokens, stops);
        List<Answer> answers = new ArrayList<>();
        for (int i = 0; i < said.size(); i++) {
            answers.add(
                    rule.read(questions.get(i).question(), subject.tokenizer().decode(said.get(i), true)));
        }
        return answers;
    }
}
