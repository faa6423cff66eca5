package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.Benchmark.FewShot;
import io.vlmoperator.trainer.TrainerException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Function;

/**
 * Questions with their answers that stand before every question of a pass, the same ones each time.
 *
 * @param images normalised pixels of each
 */
record Demonstrations(List<Question> questions, List<float[]> images) {
    static final Demonstrations NONE = new Demonstrations(List.of(), List.of());

    Demonstrations {
        questions = List.copyOf(questions);
        images = List.copyOf(images);
    }

    /**
     * Draws as many as are wanted from the pool, by the seed alone; one whose image can't be read is passed over.
     *
     * @param pixels of a question's image
     * @throws TrainerException InvalidConfiguration if the pool has too few
     */
    static Demonstrations draw(
            String benchmark,
            List<Question> pool,
            FewShot wanted,
            long seed,
            Function<Question, BenchmarkTable.Pixels> pixels) {
        List<Question> shuffled = new ArrayList<>(pool);
        Collections.shuffle(shuffled, new Random(seed));
        List<Question> questions = new ArrayList<>();
        List<float[]> images = new ArrayList<>();
        for (Question question : shuffled) {
            if (questions.size() == wanted.shots()) {
                break;
            }
            if (pixels.apply(question) instanceof BenchmarkTable.Pixels.Decoded(float[] values)) {
                questions.add(question);
                images.add(values);
            }
        }
        if (questions.size() < wanted.shots()) {
            throw TrainerException.configuration("benchmark " + benchmark + ": " + wanted.shots()
                    + " demonstrations are wanted, but only " + questions.size() + " usable rows can be drawn from ("
                    + switch (wanted.from()) {
                        case Train ->
                            "fewShot.from: Train: rows whose split is train, or those of train.tsv in the benchmark's folder)";
                        case Evaluated -> "fewShot.from: Evaluated: the benchmark's own rows)";
                    });
        }
        return new Demonstrations(questions, images);
    }
}
