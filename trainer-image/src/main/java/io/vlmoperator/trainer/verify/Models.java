package io.vlmoperator.trainer.verify;

import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.Scope;
import java.util.Map;
import java.util.function.UnaryOperator;

/** Models around a part under test, and their gradients. */
final class Models {
    /** Stand-ins for the parts a case does not use. */
    private static final VisionConfig NO_VISION =
            new VisionConfig(4, 4, 4, 4, 2, 1, 1e-6, -2, VisionConfig.Activation.Erf);

    private static final LanguageConfig NO_LANGUAGE = new LanguageConfig(4, 4, 1, 1, 1, 4, 1e4, 1e-6, true, 16);

    private Models() {}

    static ModelConfig decoderOnly(LanguageConfig language) {
        return new ModelConfig(language, NO_VISION, new ProjectorConfig(1));
    }

    static ModelConfig visionOnly(VisionConfig vision) {
        return new ModelConfig(NO_LANGUAGE, vision, new ProjectorConfig(1));
    }

    /** Gradients of the parts under the golden's names, and their common norm. */
    static void gradients(Weights weights, Iterable<Part> parts, UnaryOperator<String> goldenName, Case result) {
        try (Scope scope = Scope.open()) {
            double squares = 0;
            for (Part part : parts) {
                for (Parameter parameter : weights.trained()) {
                    if (parameter.part() == part) {
                        Values gradient = Values.of(weights.gradient(parameter.name(), scope));
                        result.put("grad." + goldenName.apply(parameter.name()), gradient);
                        for (float value : gradient.elements()) {
                            squares += (double) value * value;
                        }
                    }
                }
            }
            result.scalars().put("grad_norm", Math.sqrt(squares));
        }
    }

    /** LLaVA's names to the golden's: each part has a prefix of its own there, and the projector its own layer names. */
    static String wholeModelName(String name) {
        for (Map.Entry<Part, String> prefix : Map.of(
                        Part.LANGUAGE, "decoder.", Part.VISION, "vision.", Part.PROJECTOR, "projector.")
                .entrySet()) {
            String own = prefix.getKey().prefix();
            if (name.startsWith(own)) {
                String rest = name.substring(own.length());
                return prefix.getValue() + (prefix.getKey() == Part.PROJECTOR ? projectorName(rest) : rest);
            }
        }
        throw new IllegalArgumentException(name);
    }

    static String projectorName(String own) {
        return own.replace("linear_1.", "fc1.").replace("linear_2.", "fc2.");
    }
}
