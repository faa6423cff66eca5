package io.vlmoperator.local.node;

import java.util.Map;

/** Kubernetes' {@code $(NAME)} references in arguments and variables. */
final class Expansion {
    private Expansion() {}

    /**
     * Replaces {@code $(NAME)} by its value; {@code $$} is a plain {@code $}, so {@code $$(NAME)} stays as {@code $(NAME)}; a reference to
     * an unknown name stays as it is.
     */
    static String expand(String text, Map<String, String> variables) {
        StringBuilder out = new StringBuilder(text.length());
        int i = 0;
        while (i < text.length()) {
            char c = text.charAt(i);
            if (c == '$' && i + 1 < text.length()) {
                char next = text.charAt(i + 1);
                if (next == '$') {
                    out.append('$');
                    i += 2;
                    continue;
                }
                int end = next == '(' ? text.indexOf(')', i + 2) : -1;
                if (end >= 0) {
                    String name = text.substring(i + 2, end);
                    out.append(variables.getOrDefault(name, "$(" + name + ")"));
                    i = end + 1;
                    continue;
                }
            }
            out.append(c);
            i++;
        }
        return out.toString();
    }
}
