import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * ClickHouse's JDBC driver against a running ledger. Standard input has properties: url (http or
 * https), user, password, and over https the authority's file as caFile.
 *
 * <p>Each promise that holds is a line, "promise: what was seen"; the first that does not is an error.
 */
public class Jdbc {
    private static final String RUNNING = "SELECT count() FROM system.processes"
            + " WHERE query LIKE '%numbers(9000000000)%' AND query NOT LIKE '%processes%'";

    public static void main(String[] args) throws Exception {
        Properties door = new Properties();
        door.load(System.in);
        try (Connection c = connect(door, door.getProperty("password"))) {
            query(c);
            parameters(c);
            insert(c);
            cancel(c);
        }
        refusal("wrong password", () -> {
            try (Connection c = connect(door, "wrong")) {
                single(c, "SELECT 1");
            }
        });
        if (door.containsKey("caFile")) {
            door.remove("caFile");
            try (Connection c = connect(door, door.getProperty("password"))) {
                single(c, "SELECT 1");
                throw new IllegalStateException("a certificate was trusted that nobody vouches for");
            } catch (SQLException e) {
                Throwable cause = e;
                while (cause.getCause() != null) {
                    cause = cause.getCause();
                }
                System.out.println("without the authority: " + cause.getClass().getSimpleName());
            }
        }
    }

    private static Connection connect(Properties door, String password) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", door.getProperty("user"));
        p.setProperty("password", password);
        if (door.containsKey("caFile")) {
            p.setProperty("sslrootcert", door.getProperty("caFile"));
        }
        return DriverManager.getConnection("jdbc:clickhouse:" + door.getProperty("url"), p);
    }

    private static void query(Connection c) throws SQLException {
        String sql = "SELECT count(), sum(ledger_seq) FROM ledgerline.events FINAL";
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            System.out.println("query: " + r.getLong(1) + " events, sequences sum to " + r.getLong(2));
        }
    }

    private static void parameters(Connection c) throws SQLException {
        String sql = "SELECT count() FROM ledgerline.events FINAL WHERE startsWith(stream, ?) AND ledger_seq >= ?";
        try (var s = c.prepareStatement(sql)) {
            s.setString(1, "device-");
            s.setLong(2, 0);
            try (ResultSet r = s.executeQuery()) {
                r.next();
                System.out.println("PreparedStatement: " + r.getLong(1) + " events");
            }
        }
    }

    private static void insert(Connection c) throws Exception {
        refusal("insert by an account that may only read", () -> {
            try (Statement s = c.createStatement()) {
                s.executeUpdate("INSERT INTO ledgerline.events (stream) VALUES ('x')");
            }
        });
    }

    /** Starts a statement of minutes, sees it run, cancels it, and sees it end at both sides. */
    private static void cancel(Connection c) throws Exception {
        try (Statement s = c.createStatement()) {
            CompletableFuture<SQLException> ended = CompletableFuture.supplyAsync(() -> {
                try (ResultSet r = s.executeQuery("SELECT sum(sipHash64(number)) FROM numbers(9000000000)")) {
                    return null;
                } catch (SQLException e) {
                    return e;
                }
            });
            await(c, 1);
            s.cancel();
            SQLException e = ended.get(20, TimeUnit.SECONDS);
            if (e == null) {
                throw new IllegalStateException("the statement came to its end");
            }
            await(c, 0);
            System.out.println("cancel: " + name(e));
        }
    }

    private static void await(Connection c, long running) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (single(c, RUNNING) != running) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("the server never had " + running + " such statements running");
            }
            Thread.sleep(20);
        }
    }

    private static long single(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getLong(1);
        }
    }

    private interface Attempt {
        void run() throws SQLException;
    }

    private static void refusal(String promise, Attempt attempt) throws SQLException {
        try {
            attempt.run();
        } catch (SQLException e) {
            System.out.println(promise + ": " + name(e));
            return;
        }
        throw new IllegalStateException(promise + ": what should have been refused was done");
    }

    /** What ClickHouse calls the error: the last word in brackets. */
    private static String name(SQLException e) {
        var m = java.util.regex.Pattern.compile("\\(([A-Z_]{4,})\\)").matcher(String.valueOf(e.getMessage()));
        String name = e.toString();
        while (m.find()) {
            name = m.group(1);
        }
        return name;
    }
}
