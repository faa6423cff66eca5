package io.vlmoperator.api.spec;

import java.util.List;

/**
 * One benchmark and the protocols it is scored by.
 *
 * @param name names it in results; known names (MMBench, ...) bring rules of their own
 * @param location a file in VLMEvalKit's TSV layout, or a folder
 */
public record Benchmark(String name, String location, List<EvalJobSpec.Protocol> protocols, FewShot fewShot) {
    public Benchmark {
        protocols = protocols == null || protocols.isEmpty()
                ? List.of(EvalJobSpec.Protocol.Strict)
                : List.copyOf(protocols);
    }

    /** Demonstrations before each question; one pass per seed. */
    public record FewShot(Integer shots, List<Long> seeds, From from) {
        public FewShot {
            seeds = seeds == null || seeds.isEmpty() ? List.of(1L) : List.copyOf(seeds);
            from = Defaults.or(from, From.Train);
        }

        /** The split that demonstrations are drawn from. */
        public enum From {
            Train,
            Evaluated
        }
    }
}
