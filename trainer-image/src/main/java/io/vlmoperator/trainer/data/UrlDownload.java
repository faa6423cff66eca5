package io.vlmoperator.trainer.data;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Source.UrlList;
import io.vlmoperator.trainer.TrainerException;
import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.duckdb.DuckDBAppender;

/**
 * One tar of a source of urls: at most {@value #ROWS} rows of its list. Beside the tar stands {@code NAME.parquet} with one row of status per
 * url; it is published last, so an attempt that was killed anywhere begins this tar again and no other.
 */
final class UrlDownload {
    static final int ROWS = 10_000;
    private static final int MAX_CAPTION = 100_000;
    private static final float QUALITY = 0.95f;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final UrlList rules;
    private final Path list;
    private final long first;
    private final Path tar;
    private final long pauseMillis;

    /**
     * @param first row of the list
     * @param tar that is written
     */
    UrlDownload(UrlList rules, Path list, long first, Path tar) {
        this(rules, list, first, tar, 500);
    }

    UrlDownload(UrlList rules, Path list, long first, Path tar, long pauseMillis) {
        this.rules = rules;
        this.list = list;
        this.first = first;
        this.tar = tar;
        this.pauseMillis = pauseMillis;
    }

    private record Row(String key, String url, String caption, String uid) {}

    /** The outcome of a row; {@code reason} is empty when its image is in the tar. */
    record Status(
            String key,
            String uid,
            String url,
            String reason,
            String detail,
            int http,
            int tries,
            long bytes,
            int width,
            int height) {}

    /** SQL that reads a list; columns of CSV are text. */
    private static String from(Path list) {
        String name = list.getFileName().toString().toLowerCase(Locale.ROOT);
        String file = Duck.quote(list);
        if (name.endsWith(".parquet")) {
            return "read_parquet(" + file + ", file_row_number = true)";
        }
        if (name.endsWith(".csv")) {
            return "read_csv(" + file + ", header = true, all_varchar = true, parallel = false)";
        }
        if (name.endsWith(".jsonl")) {
            return "read_json(" + file + ", format = 'newline_delimited')";
        }
        throw TrainerException.data(
                "the list of urls " + list + " has an unknown ending; .parquet, .csv and .jsonl are read");
    }

    /**
     * Rows of a list.
     *
     * @param spill folder for what does not fit into memory; lists may lie on a read-only claim
     * @throws TrainerException InvalidData when it can't be read or has no such columns
     */
    static long rows(UrlList rules, Path list, Path spill) {
        String from = from(list);
        try (Duck duck = Duck.open(spill);
                Statement statement = duck.connection().createStatement()) {
            List<String> columns = columns(statement, from);
            for (String column : List.of(rules.urlColumn(), rules.captionColumn())) {
                if (!columns.contains(column)) {
                    throw TrainerException.data("the list of urls " + list + " has no column " + column + "; it has "
                            + IndexRow.cut(String.join(", ", columns)));
                }
            }
            try (ResultSet count = statement.executeQuery("SELECT count(*) FROM " + from)) {
                count.next();
                return count.getLong(1);
            }
        } catch (SQLException e) {
            throw unreadable(list, e);
        }
    }

    private static List<String> columns(Statement statement, String from) throws SQLException {
        List<String> columns = new ArrayList<>();
        try (ResultSet found = statement.executeQuery("DESCRIBE SELECT * FROM " + from)) {
            while (found.next()) {
                columns.add(found.getString(1));
            }
        }
        return columns;
    }

    private static TrainerException unreadable(Path list, SQLException e) {
        return TrainerException.data("the list of urls " + list + " can't be read: "
                + String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
    }

    private Path statusFile() {
        return tar.resolveSibling(tar.getFileName().toString().replaceFirst("\\.tar$", ".parquet"));
    }

    /** What decides about the tar; it is made again when any of it changes. */
    private Map<String, String> origin() throws IOException {
        Map<String, String> origin = new LinkedHashMap<>();
        origin.put("format_version", "1");
        origin.put("rules", Digests.ofText(DatasetManifest.json(rules)));
        origin.put(
                "list",
                list.getFileName() + " " + Files.size(list) + " "
                        + Files.getLastModifiedTime(list).toMillis());
        origin.put("first", Long.toString(first));
        return origin;
    }

    /** Whether tar and status are there and made of exactly this. */
    boolean isDone(Duck duck) throws IOException {
        return Files.isRegularFile(tar)
                && IndexFile.metadata(duck, statusFile()).map(origin()::equals).orElse(false);
    }

    /**
     * Downloads what is not done.
     *
     * @param alive told of every row
     */
    void run(Duck duck, Runnable alive) throws IOException {
        if (isDone(duck)) {
            return;
        }
        Storage.createFolder(tar.getParent());
        Storage.deleteTemporaries(tar.getParent(), tar.getFileName().toString());
        Storage.deleteTemporaries(tar.getParent(), statusFile().getFileName().toString());
        Storage.delete(statusFile());
        Map<String, String> origin = origin();
        List<Row> rows = read();
        List<Status> statuses = new ArrayList<>();
        Storage.publish(tar, temporary -> {
            try (OutputStream file = new BufferedOutputStream(Files.newOutputStream(temporary), 1 << 16);
                    TarWriter out = new TarWriter(file)) {
                download(rows, out, statuses, alive);
            }
        });
        publish(statuses, origin);
    }

    private List<Row> read() {
        String from = from(list);
        List<Row> rows = new ArrayList<>();
        try (Duck duck = Duck.open(tar.resolveSibling(".spill-" + tar.getFileName()));
                Statement statement = duck.connection().createStatement()) {
            boolean uids = columns(statement, from).contains(rules.uidColumn());
            String order = from.startsWith("read_parquet") ? " ORDER BY file_row_number" : "";
            String query = "SELECT " + column(rules.urlColumn()) + ", " + column(rules.captionColumn()) + ", "
                    + (uids ? column(rules.uidColumn()) : "NULL") + " FROM " + from + order + " LIMIT " + ROWS
                    + " OFFSET " + first;
            try (ResultSet found = statement.executeQuery(query)) {
                for (long n = first; found.next(); n++) {
                    String uid = found.getString(3);
                    rows.add(new Row(
                            "%012d".formatted(n),
                            text(found.getString(1)),
                            text(found.getString(2)),
                            uid != null && uid.matches("[A-Za-z0-9_-]{1,128}")
                                    ? uid
                                    : Digests.short128(
                                            Digests.utf8(list.getFileName().toString()), Digests.utf8("row " + n))));
                }
            }
        } catch (SQLException e) {
            throw unreadable(list, e);
        }
        return rows;
    }

    private static String column(String name) {
        return "\"" + name.replace("\"", "\"\"") + "\"::VARCHAR";
    }

    private static String text(String value) {
        return value == null ? "" : value.length() <= MAX_CAPTION ? value : value.substring(0, MAX_CAPTION);
    }

    private void download(List<Row> rows, TarWriter out, List<Status> statuses, Runnable alive) throws IOException {
        Semaphore processors = new Semaphore(Runtime.getRuntime().availableProcessors());
        List<Future<?>> tasks = new ArrayList<>();
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
        try (Fetcher fetcher = new Fetcher(rules, pauseMillis)) {
            for (Row row : rows) {
                tasks.add(threads.submit(() -> {
                    fetcher.fetch(row.url(), fetched -> take(row, fetched, processors, out, statuses));
                    return null;
                }));
            }
            for (Future<?> task : tasks) {
                task.get();
                alive.run();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while " + tar + " was downloaded", e);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException failed) {
                throw failed;
            }
            if (e.getCause() instanceof TrainerException known) {
                throw known;
            }
            throw new TrainerException(
                    ExitCode.InternalError, "downloading " + tar + ": " + e.getCause(), e.getCause());
        } finally {
            threads.shutdownNow();
        }
    }

    private void take(Row row, Fetcher.Fetched fetched, Semaphore processors, TarWriter out, List<Status> statuses)
            throws IOException, InterruptedException {
        if (fetched.reason() != null) {
            add(statuses, row, fetched, fetched.reason(), fetched.detail(), 0, 0);
            return;
        }
        byte[] image;
        Pixels decoded;
        processors.acquire();
        try {
            decoded = new ImageDecoder().decode(fetched.body());
            image = smaller(fetched.body(), decoded);
        } catch (RejectedException e) {
            add(statuses, row, fetched, e.reason(), e.getMessage(), 0, 0);
            return;
        } finally {
            processors.release();
        }
        String type;
        try {
            type = SampleRules.imageType(image);
        } catch (RejectedException e) {
            throw new IllegalStateException("it was decoded", e);
        }
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("key", row.key());
        json.put("uid", row.uid());
        json.put("url", row.url());
        json.put("original_width", decoded.width());
        json.put("original_height", decoded.height());
        json.put("digest", Digests.short128(fetched.body()));
        synchronized (out) {
            out.file(row.key() + "." + (type.equals("jpeg") ? "jpg" : type), image);
            out.file(row.key() + ".txt", row.caption().getBytes(StandardCharsets.UTF_8));
            out.file(row.key() + ".json", JSON.writeValueAsBytes(json));
        }
        add(statuses, row, fetched, null, "", decoded.width(), decoded.height());
    }

    private static void add(
            List<Status> statuses,
            Row row,
            Fetcher.Fetched fetched,
            RejectReason reason,
            String detail,
            int width,
            int height) {
        synchronized (statuses) {
            statuses.add(new Status(
                    row.key(),
                    row.uid(),
                    IndexRow.cut(row.url()),
                    reason == null ? "" : reason.name(),
                    IndexRow.cut(detail),
                    fetched.http(),
                    fetched.tries(),
                    fetched.body().length,
                    width,
                    height));
        }
    }

    /** The file as it is, or scaled to the shorter side and compressed as JPEG when it is larger. */
    private byte[] smaller(byte[] file, Pixels image) throws IOException {
        int shorter = Math.min(image.width(), image.height());
        if (shorter <= rules.shorterSide()) {
            return file;
        }
        int width = Math.toIntExact(Math.round((double) image.width() * rules.shorterSide() / shorter));
        int height = Math.toIntExact(Math.round((double) image.height() * rules.shorterSide() / shorter));
        Pixels scaled = Bicubic.resize(image, width, height);
        BufferedImage copy = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
        byte[] rgb = scaled.rgbHWC();
        byte[] bgr = ((DataBufferByte) copy.getRaster().getDataBuffer()).getData();
        for (int i = 0; i < rgb.length; i += 3) {
            bgr[i] = rgb[i + 2];
            bgr[i + 1] = rgb[i + 1];
            bgr[i + 2] = rgb[i];
        }
        ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            ImageWriteParam quality = writer.getDefaultWriteParam();
            quality.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
            quality.setCompressionQuality(QUALITY);
            try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(out)) {
                writer.setOutput(stream);
                writer.write(null, new IIOImage(copy, null, null), quality);
            }
        } finally {
            writer.dispose();
        }
        return out.toByteArray();
    }

    private void publish(List<Status> statuses, Map<String, String> origin) {
        statuses.sort(Comparator.comparing(Status::key));
        try (Duck duck = Duck.open(tar.resolveSibling(".spill-" + tar.getFileName()))) {
            duck.execute("CREATE TABLE status (key VARCHAR, uid VARCHAR, url VARCHAR, reason VARCHAR, detail VARCHAR,"
                    + " http INTEGER, tries INTEGER, bytes BIGINT, width INTEGER, height INTEGER)");
            try (DuckDBAppender appender = duck.connection().createAppender("main", "status")) {
                for (Status status : statuses) {
                    appender.beginRow();
                    appender.append(status.key());
                    appender.append(status.uid());
                    appender.append(status.url());
                    appender.append(status.reason());
                    appender.append(status.detail());
                    appender.append(status.http());
                    appender.append(status.tries());
                    appender.append(status.bytes());
                    appender.append(status.width());
                    appender.append(status.height());
                    appender.endRow();
                }
            }
            Storage.publish(statusFile(), temporary -> {
                try {
                    duck.execute("COPY status TO " + Duck.quote(temporary)
                            + " (FORMAT parquet, COMPRESSION zstd, KV_METADATA " + IndexFile.metadata(origin) + ")");
                } catch (SQLException e) {
                    throw Duck.failed("writing " + statusFile(), e);
                }
            });
        } catch (SQLException e) {
            throw Duck.failed("writing " + statusFile(), e);
        }
    }

    /** Rows whose image is not in the tar, in the list's order. */
    static List<IndexRow> failures(Duck duck, Path tar) {
        Path file = tar.resolveSibling(tar.getFileName().toString().replaceFirst("\\.tar$", ".parquet"));
        List<IndexRow> failures = new ArrayList<>();
        try (Statement statement = duck.connection().createStatement();
                ResultSet rows = statement.executeQuery("SELECT uid, key, reason, detail, url FROM read_parquet("
                        + Duck.quote(file) + ") WHERE reason <> '' ORDER BY key")) {
            while (rows.next()) {
                failures.add(IndexRow.rejected(
                        rows.getString(1),
                        rows.getString(2),
                        RejectReason.valueOf(rows.getString(3)),
                        rows.getString(4) + " (" + rows.getString(5) + ")"));
            }
        } catch (SQLException e) {
            throw Duck.failed("reading " + file, e);
        }
        return failures;
    }
}
