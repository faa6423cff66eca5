package io.vlmoperator.operator.engine;

import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.operator.model.Observed.Report;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** The newest report of each resource, by uid; bounded. After a restart it is empty and the status has to do. */
public final class Reports {
    private static final int MOST = 20_000;

    private final Map<String, Report> newest = new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Report> eldest) {
            return size() > MOST;
        }
    };

    /** Takes a report unless a newer one of this or a later attempt is known. */
    public synchronized boolean offer(ProgressReport report, Instant at) {
        var known = newest.get(report.uid());
        if (known != null) {
            var old = known.body();
            boolean stale = report.attempt() < old.attempt()
                    || report.attempt().equals(old.attempt()) && report.sequence() <= old.sequence();
            if (stale) {
                return false;
            }
        }
        newest.put(report.uid(), new Report(report, at));
        return true;
    }

    public synchronized Optional<Report> of(String uid) {
        return Optional.ofNullable(newest.get(uid));
    }

    public synchronized void forget(String uid) {
        newest.remove(uid);
    }
}
