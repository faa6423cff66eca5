package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.text.EncodedText;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedSet;

/**
 * The option whose text, with its end token, is the likeliest answer to the question; the model never sees the options beside each other.
 * Of equal ones the first wins. An option is always chosen, so nothing is unparsed.
 */
final class OptionLikelihood implements Asker {
    /** What the log probabilities of an option's tokens become. */
    enum Normalization {
        /** Their sum: the probability of the text. Long texts lose. */
        Sum,
        /** Their mean: long texts do not lose, but ones with a predictable end win. */
        Mean,
        /** Their sum less the sum without the image: what the picture adds, whatever the text's length. */
        PriorCorrected
    }

    /** Where the option's text stands. */
    enum Style {
        /** The answer of a chat; what a fine-tuned model knows. */
        Chat,
        /** The caption of the image; what a pre-trained model knows. */
        Caption
    }

    /** The one that scores are reported with: the best of the three where it was measured ({@code src/docs/evaluation.md}). */
    static final Normalization NORMALIZATION = Normalization.Sum;

    /** Sequences without image that are scored at once. */
    private static final int PRIORS_AT_ONCE = 256;

    /** Texts whose prior is remembered. */
    private static final int MAX_PRIORS = 100_000;

    private final Subject subject;
    private final Style style;
    private final Normalization normalization;
    private final List<Question> shots;
    private final Map<EncodedKey, Double> priors = new HashMap<>();

    /** A question, without its image, and an answer. */
    private record EncodedKey(String question, String hint, String option) {}

    /** @param shots answered before every question; they have options */
    OptionLikelihood(Subject subject, Style style, Normalization normalization, List<Question> shots) {
        this.shots = List.copyOf(shots);
        this.subject = subject;
        this.style = style;
        this.normalization = normalization;
    }

    @Override
    public List<EncodedText> texts(Question question) {
        return question.options().values().stream()
                .map(option -> text(question, option))
                .toList();
    }

    @Override
    public int room() {
        return 0;
    }

    private EncodedText text(Question question, String option) {
        return switch (style) {
            case Chat -> Prompts.answered(subject.tokenizer(), shots, question, option);
            case Caption -> Prompts.caption(subject.tokenizer(), shots, option);
        };
    }

    @Override
    public List<Answer> ask(List<Seen> questions) {
        List<EncodedText> texts = new ArrayList<>();
        List<List<float[]>> images = new ArrayList<>();
        for (Seen seen : questions) {
            texts.addAll(seen.texts());
            images.addAll(Collections.nCopies(seen.texts().size(), seen.images()));
        }
        double[] scores = score(texts, images, normalization == Normalization.Mean);
        if (normalization == Normalization.PriorCorrected) {
            subtractPriors(questions, scores);
        }
        List<Answer> answers = new ArrayList<>();
        int at = 0;
        for (Seen seen : questions) {
            Question question = seen.question();
            String best = question.options().firstEntry().getKey();
            double most = Double.NEGATIVE_INFINITY;
            for (String letter : question.options().keySet()) {
                double score = scores[at++];
                if (score > most) {
                    most = score;
                    best = letter;
                }
            }
            answers.add(new Answer(question, best, Optional.of(best), best.equals(question.letter()) ? 1 : 0));
        }
        return answers;
    }

    private void subtractPriors(List<Seen> questions, double[] scores) {
        List<Question> asked = questions.stream().map(Seen::question).toList();
        learnPriors(asked);
        int at = 0;
        for (Question question : asked) {
            for (String option : question.options().values()) {
                scores[at++] -= priors.get(key(question, option));
            }
        }
    }

    private void learnPriors(Collection<Question> questions) {
        if (priors.size() > MAX_PRIORS) {
            priors.clear();
        }
        SequencedSet<EncodedKey> missing = new LinkedHashSet<>();
        Map<EncodedKey, EncodedText> texts = new HashMap<>();
        for (Question question : questions) {
            for (String option : question.options().values()) {
                EncodedKey key = key(question, option);
                if (!priors.containsKey(key) && missing.add(key)) {
                    texts.put(key, Prompts.blind(text(question, option)));
                }
            }
        }
        List<EncodedKey> keys = List.copyOf(missing);
        for (int from = 0; from < keys.size(); from += PRIORS_AT_ONCE) {
            List<EncodedKey> some = keys.subList(from, Math.min(keys.size(), from + PRIORS_AT_ONCE));
            double[] scores =
                    score(some.stream().map(texts::get).toList(), Collections.nCopies(some.size(), List.of()), false);
            for (int i = 0; i < scores.length; i++) {
                priors.put(some.get(i), scores[i]);
            }
        }
    }

    private EncodedKey key(Question question, String option) {
        return new EncodedKey(question.question(), question.hint(), option);
    }

    /** Log probability of each text's targets, in one pass of the model. */
    private double[] score(List<EncodedText> texts, List<List<float[]>> images, boolean mean) {
        Batch batch = Sequences.batch(texts, images, subject.tokensPerImage(), subject.imageSize());
        double[] scores = new double[texts.size()];
        int[] counts = new int[texts.size()];
        int[] targets = batch.targetPositions();
        try (Scope scope = Scope.open()) {
            float[] logProbabilities =
                    subject.model().logProbabilities(batch, scope).floats();
            int segment = 0;
            for (int q = 0; q < targets.length; q++) {
                while (targets[q] >= batch.segmentStarts()[segment + 1]) {
                    segment++;
                }
                scores[segment] += logProbabilities[q];
                counts[segment]++;
            }
        }
        if (mean) {
            for (int s = 0; s < scores.length; s++) {
                scores[s] /= Math.max(1, counts[s]);
            }
        }
        return scores;
    }
}
