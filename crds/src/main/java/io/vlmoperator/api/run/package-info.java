/** What operator and trainer tell each other: the frozen job, progress reports, the last word, exit codes and the pod's environment. */
package io.vlmoperator.api.run;
