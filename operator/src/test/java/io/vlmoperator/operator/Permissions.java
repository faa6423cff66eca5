package io.vlmoperator.operator;

import io.fabric8.kubernetes.api.model.rbac.PolicyRule;
import io.fabric8.kubernetes.api.model.rbac.PolicyRuleBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;

/** The tables of {@code src/docs/rbac.md} as rules: what is documented is what the operator runs with in these tests. */
final class Permissions {
    private static final Path TABLES = Path.of("../src/docs/rbac.md");
    private static final Pattern NAME = Pattern.compile("`([^`]+)`");

    private Permissions() {}

    static List<PolicyRule> cluster() throws IOException {
        return rules("## ClusterRole");
    }

    static List<PolicyRule> own() throws IOException {
        return rules("## Role in");
    }

    private static List<PolicyRule> rules(String heading) throws IOException {
        var rules = new ArrayList<PolicyRule>();
        boolean inside = false;
        for (String line : Files.readAllLines(TABLES)) {
            if (line.startsWith("## ")) {
                inside = line.startsWith(heading);
            }
            if (!inside || !line.startsWith("| ") || line.startsWith("| group")) {
                continue;
            }
            var cells = line.split("\\|");
            var named = cells[2].contains(" named ");
            var resources = names(named ? cells[2].substring(0, cells[2].indexOf(" named ")) : cells[2]);
            var group = names(cells[1]);
            var rule = new PolicyRuleBuilder()
                    .withApiGroups(group.isEmpty() ? "" : group.getFirst())
                    .withResources(resources)
                    .withVerbs(Arrays.stream(cells[3].split(","))
                            .map(String::strip)
                            .toList());
            if (named) {
                rule.withResourceNames(names(cells[2]).get(1));
            }
            rules.add(rule.build());
        }
        return rules;
    }

    private static List<String> names(String cell) {
        return NAME.matcher(cell).results().map(match -> match.group(1)).toList();
    }
}
