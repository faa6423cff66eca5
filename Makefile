# The verbs a person types. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A JDK 25 is found by itself: JAVA_HOME first, then the usual places.
JAVA_HOME := $(shell src/local/bin/find-jdk 25)
export JAVA_HOME
MVN := mvn -B -q

.PHONY: help jdk build test lint format
help: ## list the verbs
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

jdk:
	@[ -n "$(JAVA_HOME)" ] || { echo "No JDK 25 found. Install one (for example Temurin 25) and set JAVA_HOME, or put it under /usr/lib/jvm." >&2; exit 3; }

build: jdk ## build everything, without tests
	$(MVN) package -DskipTests

test: jdk ## all tests
	$(MVN) spotless:check verify

lint: jdk ## formatting and compiler warnings
	$(MVN) spotless:check test-compile

format: jdk ## format the Java sources
	$(MVN) spotless:apply
