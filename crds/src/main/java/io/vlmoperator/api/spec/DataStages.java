package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.ValidationRule;

/** Stages of a Dataset that have pods of their own: each is a Job, and the next begins when all its pods have ended well. */
@ValidationRule(
        value = "!has(self.pack) || !has(self.pack.count) || self.pack.count == 1",
        message = Messages.ONE_PACKS,
        fieldPath = ".pack")
@ValidationRule(
        value = "(!has(self.fetch) || !has(self.fetch.gpus) || self.fetch.gpus == 0)"
                + " && (!has(self.index) || !has(self.index.gpus) || self.index.gpus == 0)"
                + " && (!has(self.pack) || !has(self.pack.gpus) || self.pack.gpus == 0)",
        message = Messages.GPUS_SCORE)
public record DataStages(
        @JsonPropertyDescription(
                "Brings what fetch names, by the first pod, and downloads url lists, dealt to all. Skipped when there is nothing to bring.")
        DataPods fetch,

        @JsonPropertyDescription("Reads the shards and checks every sample.")
        DataPods index,

        @JsonPropertyDescription(
                "Asks the filter models of select about the samples. Skipped when select has no score.")
        DataPods score,

        @JsonPropertyDescription("Selects, packs, and writes the plan and new shards: one pod.")
        DataPods pack) {}
