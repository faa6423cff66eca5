package io.vlmoperator.trainer.eval;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.eval.RunFiles.Skipped;
import io.vlmoperator.trainer.text.EncodedText;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;

/**
 * Puts the questions of one pass to the model. They are cut into batches that depend on the questions alone and dealt to the workers batch
 * by batch, so that every question is computed in the same company, and with the same bits, however many workers there are.
 */
final class Interview {
    /** Tokens in one pass of the model, unless one question alone is longer. */
    private static final int TOKENS_AT_ONCE = 8192;

    private static final int QUESTIONS_AT_ONCE = 64;

    private final ObjectMapper json = new ObjectMapper();
    private final Subject subject;
    private final Communicator ranks;

    Interview(Subject subject, Communicator ranks) {
        this.subject = subject;
        this.ranks = ranks;
    }

    /**
     * What came of it, the same on every worker.
     *
     * @param answers in the order of the questions
     * @param skipped questions that could not be asked, by index
     */
    record Outcome(List<Answer> answers, List<Skipped> skipped) {}

    /** A question and its sequences. */
    private record Prepared(Question question, List<EncodedText> texts, long tokens) {}

    /** An answer on its way to another worker. */
    private record Said(int row, String text, String read, double score) {}

    /** What one worker did in one round. */
    private record Part(List<Said> said, List<Skipped> skipped) {}

    /**
     * @param pixels of a question's image
     * @param asked hears how many questions are done after each round
     */
    Outcome ask(
            List<Question> questions,
            Demonstrations shots,
            Asker asker,
            Function<Question, BenchmarkTable.Pixels> pixels,
            LongConsumer asked) {
        List<Skipped> skipped = new ArrayList<>();
        List<List<Prepared>> batches = batches(questions, asker, skipped);
        Map<Integer, Question> byRow =
                questions.stream().collect(Collectors.toMap(Question::row, question -> question));
        Map<Integer, Answer> answers = new HashMap<>();
        for (int first = 0; first < batches.size(); first += ranks.world()) {
            int own = first + ranks.rank();
            Part part =
                    own < batches.size() ? ask(batches.get(own), shots, asker, pixels) : new Part(List.of(), List.of());
            for (Part one : exchange(part)) {
                for (Said said : one.said()) {
                    Question question = byRow.get(said.row());
                    answers.put(
                            said.row(),
                            new Answer(question, said.text(), Optional.ofNullable(said.read()), said.score()));
                }
                skipped.addAll(one.skipped());
            }
            asked.accept((long) answers.size() + skipped.size());
        }
        skipped.sort(Comparator.comparingLong(Skipped::index));
        return new Outcome(
                questions.stream()
                        .map(question -> answers.get(question.row()))
                        .filter(answer -> answer != null)
                        .toList(),
                skipped);
    }

    /** Questions of like length go together, so that little is padded. */
    private List<List<Prepared>> batches(List<Question> questions, Asker asker, List<Skipped> skipped) {
        List<Prepared> prepared = new ArrayList<>();
        for (Question question : questions) {
            List<EncodedText> texts = asker.texts(question);
            long longest = texts.stream()
                            .mapToLong(text -> text.length(subject.tokensPerImage()))
                            .max()
                            .orElse(0)
                    + asker.room();
            if (longest > subject.longest()) {
                skipped.add(new Skipped(
                        question.index(),
                        "the question takes " + longest + " tokens, the model reads " + subject.longest()));
            } else {
                prepared.add(new Prepared(question, texts, longest * texts.size()));
            }
        }
        prepared.sort(Comparator.comparingLong(Prepared::tokens)
                .reversed()
                .thenComparingInt(one -> one.question().row()));
        List<List<Prepared>> batches = new ArrayList<>();
        int from = 0;
        while (from < prepared.size()) {
            long tokens = prepared.get(from).tokens();
            int to = from + 1;
            while (to < prepared.size()
                    && to - from < QUESTIONS_AT_ONCE
                    && tokens + prepared.get(to).tokens() <= TOKENS_AT_ONCE) {
                tokens += prepared.get(to++).tokens();
            }
            batches.add(prepared.subList(from, to));
            from = to;
        }
        return batches;
    }

    private Part ask(
            List<Prepared> batch, Demonstrations shots, Asker asker, Function<Question, BenchmarkTable.Pixels> pixels) {
        List<Asker.Seen> seen = new ArrayList<>();
        List<Skipped> skipped = new ArrayList<>();
        for (Prepared one : batch) {
            switch (pixels.apply(one.question())) {
                case BenchmarkTable.Pixels.Decoded(float[] values) -> {
                    List<float[]> images = new ArrayList<>(shots.images());
                    images.add(values);
                    seen.add(new Asker.Seen(one.question(), one.texts(), images));
                }
                case BenchmarkTable.Pixels.Broken(String reason) ->
                    skipped.add(new Skipped(one.question().index(), reason));
            }
        }
        List<Answer> answers = seen.isEmpty() ? List.of() : asker.ask(seen);
        return new Part(
                answers.stream()
                        .map(answer -> new Said(
                                answer.question().row(),
                                answer.text(),
                                answer.read().orElse(null),
                                answer.score()))
                        .toList(),
                skipped);
    }

    private List<Part> exchange(Part own) {
        if (ranks.world() == 1) {
            return List.of(own);
        }
        try {
            List<Part> parts = new ArrayList<>();
            for (byte[] message : Gather.all(ranks, json.writeValueAsBytes(own))) {
                parts.add(json.readValue(message, Part.class));
            }
            return parts;
        } catch (IOException e) {
            throw new UncheckedIOException("a worker's answers can't be read", e);
        }
    }
}
