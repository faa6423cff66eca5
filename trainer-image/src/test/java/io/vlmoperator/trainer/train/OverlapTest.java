package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.dist.Buffer;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.Passage;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Torch;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** When gradients and weights are sent: beside the arithmetic of other layers, and once for all micro-batches of a step. */
class OverlapTest {
    private static final Set<Part> ALL = EnumSet.allOf(Part.class);

    private final List<String> events = new ArrayList<>();

    @Test
    void layersAreSentWhileOthersAreComputed() {
        Torch.start().threads(1);
        ModelConfig config = new ModelConfig(
                new LanguageConfig(16, 32, 3, 2, 1, 211, 1e4, 1e-6, true, 4096),
                new VisionConfig(TinyRun.IMAGE_SIZE, 4, 16, 32, 2, 2, 1e-6, -1, VisionConfig.Activation.values()[0]),
                new ProjectorConfig(1));
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, ALL);
            model.initialize(ALL, 3);
            List<Integer> firstStages = Buckets.of(model.stages(), 0).all().stream()
                    .map(Buckets.Bucket::firstStage)
                    .toList();
            assertThat(firstStages).hasSizeGreaterThan(6);
            Batch batch = new TinyRun.MadeUp(1, 8, 0, TinyRun.Poison.NONE).rows(0, 0, 4);
            try (ShardedOptimizer optimizer = new ShardedOptimizer(
                    model.weights(),
                    model.stages(),
                    0,
                    new Recording(),
                    new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.1),
                    new RunFacts(),
                    scope)) {
                optimizer.begin();
                pass(model, batch, optimizer.passage(false));
                assertThat(events).as("the first of two micro-batches").noneMatch(event -> event.startsWith("reduce"));

                events.clear();
                pass(model, batch, optimizer.passage(true));
                int lastLeft = lastIndex("left ");
                assertThat(events.subList(0, lastLeft))
                        .as("before the first layer has been passed on the way back")
                        .anyMatch(event -> event.startsWith("reduce"));
                for (int i = 0; i < events.size(); i++) {
                    if (events.get(i).startsWith("left ")) {
                        int stage = Integer.parseInt(events.get(i).substring("left ".length()));
                        int next = i + 1;
                        while (next < events.size() && events.get(next).startsWith("reduce")) {
                            next++;
                        }
                        assertThat(count(events.subList(0, next), "reduce"))
                                .as("sums that have been begun when stage %d has been passed", stage)
                                .isEqualTo(firstStages.stream()
                                        .filter(first -> first >= stage)
                                        .count());
                    }
                }
                assertThat(events).as("nothing has been waited for").noneMatch(event -> event.startsWith("await"));
                optimizer.reduced();
                assertThat(count(events, "reduce")).isEqualTo(firstStages.size());
                assertThat(count(events, "await reduce")).isEqualTo(firstStages.size());

                events.clear();
                optimizer.update(0.01, 1, 1, 1, 1);
                assertThat(events).hasSize(firstStages.size()).allMatch(event -> event.startsWith("gather"));

                events.clear();
                pass(model, batch, optimizer.passage(false));
                List<Long> waited = new ArrayList<>();
                for (int i = 0; i < events.size(); i++) {
                    if (events.get(i).startsWith("enter ")) {
                        int stage = Integer.parseInt(events.get(i).substring("enter ".length()));
                        waited.add(count(events.subList(0, i), "await gather"));
                        assertThat(waited.getLast())
                                .as("weights that have been waited for when stage %d begins", stage)
                                .isEqualTo(firstStages.stream()
                                        .filter(first -> first <= stage)
                                        .count());
                    }
                }
                assertThat(waited.getFirst()).isLessThan(waited.getLast());
                optimizer.settle();
            }
        }
    }

    private int lastIndex(String beginning) {
        int last = -1;
        for (int i = 0; i < events.size(); i++) {
            last = events.get(i).startsWith(beginning) ? i : last;
        }
        return last;
    }

    private static long count(List<String> events, String beginning) {
        return events.stream().filter(event -> event.startsWith(beginning)).count();
    }

    private void pass(VisionLanguageModel model, Batch batch, Passage passage) {
        try (Scope local = Scope.open()) {
            model.accumulate(
                    batch,
                    1,
                    Tape.Keep.ALL,
                    new Passage() {
                        @Override
                        public void entering(int stage) {
                            passage.entering(stage);
                            events.add("enter " + stage);
                        }

                        @Override
                        public void left(int stage) {
                            events.add("left " + stage);
                            passage.left(stage);
                        }
                    },
                    local);
        }
    }

    /** The first of two ranks; the other one adds nothing. */
    private final class Recording implements Communicator {
        private int number;

        @Override
        public int rank() {
            return 0;
        }

        @Override
        public int world() {
            return 2;
        }

        private Pending started(String what) {
            int own = number++;
            events.add(what + " " + own);
            return () -> events.add("await " + what + " " + own);
        }

        @Override
        public Pending allReduceSum(Buffer floats) {
            return started("sum");
        }

        @Override
        public Pending reduceScatterSum(Buffer floats) {
            return started("reduce");
        }

        @Override
        public Pending allGather(Buffer parts) {
            return started("gather");
        }

        @Override
        public void broadcast(MemorySegment bytes) {}

        @Override
        public byte[][] allGather(byte[] message) {
            return new byte[][] {message, message};
        }

        @Override
        public void close() {}
    }
}
