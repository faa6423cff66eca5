package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.data.ImageHeader.Format;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Iterator;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.MemoryCacheImageInputStream;
import org.w3c.dom.NodeList;

/**
 * JPEG, PNG, GIF and, where libwebp is found, WebP to RGB, with the meaning of Pillow's {@code convert('RGB')}: alpha and colour keys are dropped and nothing is blended,
 * orientation and ICC profiles are ignored, CMYK is inverted first, 16-bit colour keeps the high byte, 16-bit gray is cut at 255, a GIF
 * gives its first frame. The JDK's readers give the stored samples and the conversion is done here, because the JDK's own one applies
 * profiles and other colour spaces. Safe for use by several threads.
 */
public final class ImageDecoder {
    /** Pictures above so many pixels are decoded one at a time. */
    private static final long LARGE = 8L << 20;
    /** Of a progressive JPEG, each of which walks over the whole picture: more are no picture but an attack (libjpeg-turbo's own bound). */
    private static final int MAX_SCANS = 500;

    private final Semaphore large = new Semaphore(1);
    private final Optional<TurboJpeg> turbo;
    private final Optional<WebP> webp;

    /** Uses libjpeg-turbo where the machine has it. */
    public ImageDecoder() {
        this(TurboJpeg.find());
    }

    /** What decodes JPEG and WebP here, for a person: which libraries of the machine are in use. */
    public static String libraries() {
        return "JPEG by " + (TurboJpeg.find().isPresent() ? "libjpeg-turbo" : "the JDK (libjpeg-turbo is not here)")
                + ", WebP " + (WebP.find().isPresent() ? "by libwebp" : "is refused (libwebp is not here)");
    }

    ImageDecoder(Optional<TurboJpeg> turbo) {
        this(turbo, WebP.find());
    }

    ImageDecoder(Optional<TurboJpeg> turbo, Optional<WebP> webp) {
        this.turbo = turbo;
        this.webp = webp;
    }

    /**
     * The picture in RGB.
     *
     * @throws RejectedException ImageUndecodable, ImageUnsupported or ImageTooLarge, with what is wrong
     */
    public Pixels decode(byte[] data) throws RejectedException {
        ImageHeader header = ImageHeader.read(data);
        if ((long) header.width() * header.height() <= LARGE) {
            Optional<Pixels> fast = turbo(header, data);
            return fast.isPresent() ? fast.get() : decode(header, data);
        }
        large.acquireUninterruptibly();
        try {
            return decode(header, data);
        } finally {
            large.release();
        }
    }

    /** Sides of a picture. */
    record Sides(int width, int height) {}

    /**
     * The sides of {@link #decode}'s result, where that is all that is wanted: a JPEG is read to its end, but not all of its pixels are formed.
     *
     * @throws RejectedException as {@link #decode}
     */
    Sides check(byte[] data) throws RejectedException {
        ImageHeader header = ImageHeader.read(data);
        boolean whole = (long) header.width() * header.height() <= LARGE
                && isPlainJpeg(header)
                && turbo.isPresent()
                && turbo.get().isWhole(data, header.width(), header.height());
        if (whole) {
            return new Sides(header.width(), header.height());
        }
        Pixels decoded = decode(data);
        return new Sides(decoded.width(), decoded.height());
    }

    /** CMYK is Pillow's own business; of damaged pictures the other decoder knows the reason. */
    private Optional<Pixels> turbo(ImageHeader header, byte[] data) {
        return isPlainJpeg(header) && turbo.isPresent()
                ? turbo.get().decode(data, header.width(), header.height())
                : Optional.empty();
    }

    private static boolean isPlainJpeg(ImageHeader header) {
        return switch (header.colour()) {
            case Gray, Rgb, Ycc -> header.format() == Format.Jpeg;
            case Cmyk, Ycck, Unknown -> false;
        };
    }

    private Pixels decode(ImageHeader header, byte[] data) throws RejectedException {
        if (header.format() == Format.Png) {
            return PngDecoder.decode(data);
        }
        if (header.format() == Format.WebP) {
            return webp.orElseThrow(() -> new RejectedException(
                            RejectReason.ImageUnsupported,
                            "WebP is read where " + WebP.LIBRARY
                                    + " is found, and it is not; install libwebp 1, or convert to PNG or JPEG"))
                    .decode(data, header.width(), header.height());
        }
        boolean jpeg = header.format() == Format.Jpeg;
        if (jpeg) {
            requireFewScans(data);
        }
        // One for each picture: a reader keeps tables, and a picture that lacks its own would be read by those of
        // another.
        ImageReader reader = newReader(jpeg ? "jpeg" : "gif");
        try (MemoryCacheImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(data))) {
            reader.setInput(in, false, false);
            return jpeg ? jpeg(reader, header) : gif(reader, header);
        } catch (IOException | RuntimeException e) {
            // The JDK's readers answer broken data with many kinds of exception.
            throw new RejectedException(RejectReason.ImageUndecodable, header.format() + ": " + e);
        } finally {
            reader.dispose();
        }
    }

    /** The JDK's libjpeg has no bound. Inside a scan 0xFF is followed by 0 or a restart, so a marker is one. */
    private static void requireFewScans(byte[] data) throws RejectedException {
        int scans = 0;
        for (int i = 0; i + 1 < data.length; i++) {
            if (data[i] == (byte) 0xFF && data[i + 1] == (byte) 0xDA && ++scans > MAX_SCANS) {
                throw new RejectedException(RejectReason.ImageUndecodable, "JPEG of more than " + MAX_SCANS + " scans");
            }
        }
    }

    private static ImageReader newReader(String format) {
        Iterator<ImageReader> readers = ImageIO.getImageReadersByFormatName(format);
        while (readers.hasNext()) {
            ImageReader reader = readers.next();
            if (reader.getClass().getName().startsWith("com.sun.imageio.")) {
                return reader;
            }
            reader.dispose();
        }
        throw new IllegalStateException("this JDK has no " + format + " reader (module java.desktop)");
    }

    private static Pixels jpeg(ImageReader reader, ImageHeader header) throws IOException, RejectedException {
        String[] cut = new String[1];
        reader.addIIOReadWarningListener((source, warning) -> {
            String text = warning.toLowerCase(Locale.ROOT);
            // The library fills up a cut picture with gray and only warns.
            if (text.contains("premature") || text.contains("eoi") || text.contains("truncated")) {
                cut[0] = warning;
            }
        });
        Raster raster = reader.readRaster(0, null);
        if (cut[0] != null) {
            throw new RejectedException(RejectReason.ImageUndecodable, "JPEG is cut: " + cut[0]);
        }
        int width = raster.getWidth();
        int height = raster.getHeight();
        int bands = raster.getNumBands();
        byte[] rgb = new byte[3 * width * height];
        int[] row = new int[width * bands];
        for (int y = 0; y < height; y++) {
            raster.getPixels(0, y, width, 1, row);
            int out = 3 * width * y;
            switch (header.colour()) {
                case Gray -> JpegColour.gray(row, rgb, out);
                case Rgb -> JpegColour.rgb(row, rgb, out);
                case Ycc -> JpegColour.ycc(row, rgb, out);
                case Cmyk -> JpegColour.cmyk(row, rgb, out);
                case Ycck -> JpegColour.ycck(row, rgb, out);
                case Unknown -> throw new IllegalStateException("no JPEG");
            }
        }
        return new Pixels(width, height, rgb);
    }

    /** The first frame on a canvas of the whole picture, as Pillow does it. */
    private static Pixels gif(ImageReader reader, ImageHeader header) throws IOException, RejectedException {
        boolean[] cut = new boolean[1];
        reader.addIIOReadWarningListener((source, warning) -> cut[0] = true);
        // A frame has sides of its own, whatever the header says.
        ImageHeader.requireSize(reader.getWidth(0), reader.getHeight(0));
        BufferedImage frame = reader.read(0);
        if (cut[0] || !(frame.getColorModel() instanceof IndexColorModel colours)) {
            throw new RejectedException(RejectReason.ImageUndecodable, "GIF: damaged or cut first frame");
        }
        int left = 0;
        int top = 0;
        NodeList places = ((IIOMetadataNode) reader.getImageMetadata(0).getAsTree("javax_imageio_gif_image_1.0"))
                .getElementsByTagName("ImageDescriptor");
        if (places.item(0) instanceof IIOMetadataNode place) {
            left = Integer.parseInt(place.getAttribute("imageLeftPosition"));
            top = Integer.parseInt(place.getAttribute("imageTopPosition"));
        }
        int width = header.width();
        int height = header.height();
        byte[] rgb = new byte[3 * width * height];
        int fill = Math.max(0, colours.getTransparentPixel());
        for (int i = 0; i < rgb.length; i += 3) {
            put(colours, fill, rgb, i);
        }
        Raster raster = frame.getRaster();
        for (int y = 0; y < frame.getHeight() && y + top < height; y++) {
            for (int x = 0; x < frame.getWidth() && x + left < width; x++) {
                put(colours, raster.getSample(x, y, 0), rgb, 3 * ((y + top) * width + x + left));
            }
        }
        return new Pixels(width, height, rgb);
    }

    private static void put(IndexColorModel colours, int index, byte[] rgb, int at) {
        int safe = Math.min(index, colours.getMapSize() - 1);
        rgb[at] = (byte) colours.getRed(safe);
        rgb[at + 1] = (byte) colours.getGreen(safe);
        rgb[at + 2] = (byte) colours.getBlue(safe);
    }
}
