import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** What this process has used, as the operating system says, and how many events it has taken in. */
final class Usage {
    private static final List<AtomicLong> TAKEN = new CopyOnWriteArrayList<>();
    private static final long TICK_MS = 10;
    private static volatile long warmEvents;
    private static volatile long warmCpuMs;

    private Usage() {}

    /** A count for one thread, which {@link #take} raises without a locked instruction. */
    static AtomicLong counter() {
        AtomicLong counter = new AtomicLong();
        TAKEN.add(counter);
        return counter;
    }

    static void take(AtomicLong counter) {
        counter.lazySet(counter.getPlain() + 1);
    }

    static long taken() {
        long all = 0;
        for (AtomicLong counter : TAKEN) {
            all += counter.get();
        }
        return all;
    }

    /** Notes what was used once a fifth of `events` is in. */
    static void watch(long events) {
        Thread watcher = new Thread(() -> {
            try {
                while (taken() * 5 < events) {
                    Thread.sleep(20);
                }
                warmEvents = taken();
                warmCpuMs = cpuMs();
            } catch (InterruptedException end) {
                Thread.currentThread().interrupt();
            }
        }, "usage");
        watcher.setDaemon(true);
        watcher.start();
    }

    private static long cpuMs() {
        String stat = read("/proc/self/stat");
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) * TICK_MS;
    }

    private static String read(String file) {
        try {
            return Files.readString(Path.of(file));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    /** The last line of standard output, once everything is written and committed; ends the process. */
    static void tell(long events) {
        String status = read("/proc/self/status");
        String peak = status.substring(status.indexOf("VmHWM:") + 6, status.indexOf(" kB", status.indexOf("VmHWM:"))).strip();
        System.out.printf("{\"events\":%d,\"taken\":%d,\"cpu_ms\":%d,\"warm_events\":%d,\"warm_cpu_ms\":%d,\"peak_kib\":%s}%n",
            events, taken(), cpuMs(), warmEvents, warmCpuMs, peak);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
