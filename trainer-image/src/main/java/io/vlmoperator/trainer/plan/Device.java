package io.vlmoperator.trainer.plan;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What one process computes on. Figures are those of the makers' data sheets: dense products without sparsity, links in one direction.
 *
 * @param memoryBytes its memory
 * @param peak operations per second in BFLOAT16 (a CPU: FLOAT32, which has to be given)
 * @param link bytes per second to the other devices of its node
 * @param runtimeBytes what context, libraries and their workspaces take before the first tensor
 */
public record Device(String name, long memoryBytes, double peak, double link, long runtimeBytes) {
    /** The name of this machine's processors. */
    public static final String CPU = "cpu";

    private static final long GIB = 1L << 30;
    private static final double TERA = 1e12;
    private static final double GIGA = 1e9;

    /** A CUDA context, cuBLAS and NCCL: between 1 and 2 GiB on current cards. */
    private static final long CUDA_RUNTIME = 3 * GIB / 2;

    private static final Map<String, Device> KNOWN = known();

    private static Map<String, Device> known() {
        Map<String, Device> devices = new LinkedHashMap<>();
        for (Device device : List.of(
                gpu("A100-40G", 40, 312, 300),
                gpu("A100-80G", 80, 312, 300),
                gpu("H100-80G", 80, 989, 450),
                gpu("H200-141G", 141, 989, 450),
                gpu("B200-180G", 180, 2250, 900),
                gpu("L40S-48G", 48, 362, 32),
                gpu("L4-24G", 24, 121, 32),
                gpu("RTX4090-24G", 24, 165, 32))) {
            devices.put(device.name(), device);
        }
        return devices;
    }

    private static Device gpu(String name, long gib, double teraFlops, double linkGigaBytes) {
        return new Device(name, gib * GIB, teraFlops * TERA, linkGigaBytes * GIGA, CUDA_RUNTIME);
    }

    /** A card by its name, such as {@code H100-80G}. */
    public static Optional<Device> gpu(String name) {
        return Optional.ofNullable(KNOWN.get(name));
    }

    /**
     * The card that a driver calls so, such as {@code NVIDIA H100 80GB HBM3}. Variants with another peak than the usual one (PCIe, NVL, ...) are
     * not known.
     */
    public static Optional<Device> ofCard(String driverName) {
        String name = driverName.replace(" ", "").toUpperCase(java.util.Locale.ROOT);
        if (name.contains("PCIE") || name.contains("NVL") || name.contains("MIG") || name.contains("LAPTOP")) {
            return Optional.empty();
        }
        return KNOWN.values().stream()
                .filter(device ->
                        name.contains(device.name().substring(0, device.name().indexOf('-'))))
                .filter(device -> !device.name().startsWith("L4-") || !name.contains("L40"))
                .findFirst();
    }

    /** The names of the cards that are known. */
    public static List<String> names() {
        return List.copyOf(KNOWN.keySet());
    }
}
