package io.vlmoperator.api.spec;

/**
 * AdamW with decoupled decay, on tensors of two or more dimensions that are no bias.
 *
 * @param learningRate peak; 5e-5 for PretrainJob and 2e-5 for SFTJob when missing
 * @param weightDecay 0.01 for PretrainJob and 0.1 for SFTJob when missing
 * @param gradientClip largest global norm of the gradient
 */
public record Optimizer(
        Double learningRate, Double weightDecay, Double beta1, Double beta2, Double epsilon, Double gradientClip) {
    static final Optimizer UNSET = new Optimizer(null, null, null, null, null, null);

    public Optimizer {
        beta1 = Defaults.or(beta1, 0.9);
        beta2 = Defaults.or(beta2, 0.999);
        epsilon = Defaults.or(epsilon, 1e-8);
        gradientClip = Defaults.or(gradientClip, 1.0);
    }

    Optimizer or(double rate, double decay) {
        return new Optimizer(
                Defaults.or(learningRate, rate), Defaults.or(weightDecay, decay), beta1, beta2, epsilon, gradientClip);
    }
}
