# The verbs a person types. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A JDK 25 is found by itself: JAVA_HOME first, then the usual places.
JAVA_HOME := $(shell src/local/bin/find-jdk 25)
export JAVA_HOME
MVN := mvn -B -q

# The local cluster's run folder, and what its node can run: IMAGE=EXECUTABLE ...
CLUSTER_DIR ?= $(CURDIR)/.run/cluster
CLUSTER_PROGRAMS ?= busybox=/bin/sh $(if $(wildcard trainer-image/bin/vlm-trainer),vlm-operator/trainer=$(CURDIR)/trainer-image/bin/vlm-trainer) $(if $(wildcard operator/bin/vlm-operator),vlm-operator/operator=$(CURDIR)/operator/bin/vlm-operator)
VLM_LOCAL := src/local/bin/vlm-local

.PHONY: soak soak-report images test-images bench-train help jdk build demo demo-stop test lint format crds tools local-build cluster cluster-stop
help: ## list the verbs
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

jdk:
	@[ -n "$(JAVA_HOME)" ] || { echo "No JDK 25 found. Install one (for example Temurin 25) and set JAVA_HOME, or put it under /usr/lib/jvm." >&2; exit 3; }

build: jdk ## build everything, without tests
	$(MVN) package -DskipTests

demo: ## four custom resources, from images to a score, on a cluster of this machine (or CLUSTER=existing)
	@src/demo/bin/demo

demo-stop: ## end what the demo left running
	@src/demo/bin/demo-stop

test: jdk tools ## all tests; ends with their number
	@find . -type d -path '*/target/surefire-reports' -prune -exec rm -r {} +
	$(MVN) spotless:check verify
	@src/e2e/bin/count-tests

.PHONY: test-e2e-long
test-e2e-long: build tools ## end-to-end tests that take minutes: two replicas of the operator, its leader killed; a node lost; a worker over its memory limit
	$(MVN) -pl src/e2e -am verify -Dgroups=long -DexcludedGroups=none

.PHONY: test-minio
test-minio: jdk ## the tests of object storage against MinIO, which is built first (minutes); in a container where an engine answers (VLM_MINIO_IN=process: never)
	@src/e2e/bin/test-minio

soak: build tools ## faults at length, by seed: kills, freezes, damage, a full disk (SEED=, SOAK='kill-rank=6 ...'); goes on where it was
	@src/e2e/bin/soak run

.PHONY: soak-growth
soak-growth: jdk tools ## 10,000 small steps with saves: native handles, resident set and Java heap must not grow (STEPS=)
	$(MVN) -pl trainer-image -am verify -Dtest=GrowthTest -Dsurefire.failIfNoSpecifiedTests=false -Dvlm.growth.steps=$(or $(STEPS),10000)

soak-report: jdk ## the table of what make soak has done
	@src/e2e/bin/soak report

lint: jdk ## formatting and compiler warnings
	$(MVN) spotless:check test-compile

format: jdk ## format the Java sources
	$(MVN) spotless:apply

tools: ## build the local cluster's programs (etcd, kube-apiserver, ..., kubectl, helm) into a cache outside the checkout
	@src/local/bin/build-tools

local-build: jdk
	@$(MVN) -pl src/local package -DskipTests

cluster: tools local-build ## start a Kubernetes control plane on loopback, with one node
	@$(VLM_LOCAL) start --dir $(CLUSTER_DIR) >/dev/null
	@$(VLM_LOCAL) node --dir $(CLUSTER_DIR) --detach $(CLUSTER_PROGRAMS:%=--program %) || { $(VLM_LOCAL) stop --dir $(CLUSTER_DIR); exit 1; }
	@echo "export KUBECONFIG=$(CLUSTER_DIR)/admin.kubeconfig"

cluster-stop: ## stop it; its data stays in .run/cluster
	@$(VLM_LOCAL) stop --dir $(CLUSTER_DIR)

images: build ## the images of operator and trainer (docker or podman; REGISTRY=, TAG=, BASE=, DEVICE=cuda)
	@src/images/bin/build-images

test-images: images tools ## the four resources end to end, with operator and trainer in containers
	@src/images/bin/test-images

crds: jdk ## write the CRDs (crds/crds, chart) and src/docs/api.md from the Java types
	$(MVN) -pl crds test -Dtest=CrdFilesTest,ApiReferenceTest -Dvlm.crds.write=true

.PHONY: verify-transformers verify-tensorboard
verify-transformers: build ## an exported model in transformers: loading, logits, greedy text, bytes
	@src/bench/bin/verify-transformers

verify-tensorboard: jdk ## an event file of the trainer in TensorBoard's own reader
	@src/bench/bin/verify-tensorboard

bench-train: build ## training steps against transformers + torch: speed and memory (SHAPES=, PAIRS=, STEPS=, THREADS=)
	@src/bench/bin/bench-train

.PHONY: bench-full-size
bench-full-size: build ## one forward and backward at the paper's true sizes in bf16; needs 12 GiB (THREADS=)
	@OMP_WAIT_POLICY=PASSIVE trainer-image/bin/vlm-trainer bench-full-size --threads $(or $(THREADS),2) --json target/bench/full-size.json

.PHONY: bench-gpu
bench-gpu: build ## the paper's step on one GPU: tokens/s, MFU, memory, cost of determinism Exact, saves; NCCL's bandwidth and contract; exits 3 without a GPU (ROWS=, RECOMPUTE=, PEAK=)
	@trainer-image/bin/vlm-trainer bench-gpu --json target/bench/gpu.json $(if $(ROWS),--rows $(ROWS)) $(if $(RECOMPUTE),--recompute $(RECOMPUTE)) $(if $(PEAK),--peak $(PEAK))

.PHONY: bench-generate
bench-generate: build ## 256 new tokens with the cache of keys and values, against recomputing
	@OMP_WAIT_POLICY=PASSIVE trainer-image/bin/vlm-trainer bench-generate --json target/bench/generate.json

.PHONY: bench-plan
bench-plan: build ## the memory that vlm-trainer plan says, against that of three small runs
	@OMP_WAIT_POLICY=PASSIVE trainer-image/bin/vlm-trainer bench-plan --json target/bench/plan.json

.PHONY: bench-scaling
bench-scaling: build ## 1, 2 (and 4) workers on cores of their own against one, and their ring against a plain copy over sockets (STEPS=, ROUNDS=)
	@OMP_WAIT_POLICY=PASSIVE trainer-image/bin/vlm-trainer bench-scaling --steps $(or $(STEPS),20) --rounds $(or $(ROUNDS),21) --json target/bench/scaling.json

.PHONY: bench-checkpoint
bench-checkpoint: build ## how long training stands still for a save, against a plain copy of the same bytes and a step (ROUNDS=, THREADS=)
	@OMP_WAIT_POLICY=PASSIVE trainer-image/bin/vlm-trainer bench-checkpoint --rounds $(or $(ROUNDS),7) --threads $(or $(THREADS),1) --folder target/bench --json target/bench/checkpoint.json

.PHONY: bench-pack bench-select bench-conversations
bench-pack: build ## index, packing plan and order of 28.4 M made-up samples (SAMPLES=fewer)
	@src/bench/bin/bench-pack

bench-select: build ## 128 M uids selected by three lists (UIDS=fewer, WITHIN=seconds)
	@src/bench/bin/bench-select

bench-conversations: build ## 10 M made-up conversations indexed: time and memory (CONVERSATIONS=fewer, WITHIN=seconds)
	@src/bench/bin/bench-conversations

.PHONY: bench-images
bench-images: build ## images per second from tar to tensor, against webdataset + Pillow
	@src/bench/bin/bench-images
