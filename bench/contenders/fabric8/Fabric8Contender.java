import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderElectionConfigBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock;
import java.io.File;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/**
 * The leader elector of fabric8's Kubernetes client, as its documentation uses it, with the release that it offers. Takes
 * the arguments of the other programs of this folder, and tells what they tell. The work ends before the lease is released.
 */
public final class Fabric8Contender {
  private static final long SAMPLE_MS = 10;
  /** A process that did not run for so long was stopped. */
  private static final long STOPPED_MS = 500;

  private final String[] arguments;
  private boolean works;
  private volatile boolean isEnding;
  private volatile CompletableFuture<?> election;

  private Fabric8Contender(String[] arguments) {
    this.arguments = arguments;
  }

  public static void main(String[] arguments) throws Exception {
    new Fabric8Contender(arguments).run();
  }

  private void run() throws Exception {
    Config config = Config.fromKubeconfig(new File(arguments[0]));
    KubernetesClient client = new KubernetesClientBuilder().withConfig(config).build();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      isEnding = true;
      endWork();
      // Releases before it returns.
      if (election != null) election.cancel(true);
      Runtime.getRuntime().halt(0);
    }));
    Thread sampler = new Thread(this::sample);
    sampler.setDaemon(true);
    sampler.start();
    say("ready", ",\"version\":\"" + client.getClass().getPackage().getImplementationVersion() + "\"");
    while (!isEnding) {
      compete(client);
      // An elector competes once.
      Thread.sleep(time(6).toMillis());
    }
    Thread.sleep(Long.MAX_VALUE);
  }

  private void compete(KubernetesClient client) {
    election = client.leaderElector()
        .withConfig(new LeaderElectionConfigBuilder()
            .withName(arguments[2])
            .withLock(new LeaseLock(arguments[1], arguments[2], arguments[3]))
            .withLeaseDuration(time(4))
            .withRenewDeadline(time(5))
            .withRetryPeriod(time(6))
            .withReleaseOnCancel(true)
            .withLeaderCallbacks(new LeaderCallbacks(this::startWork, this::endWork, this::follow))
            .build())
        .build()
        .start();
    try {
      election.join();
    } catch (RuntimeException ended) {
      System.err.println(ended);
    }
  }

  private synchronized void startWork() {
    works = true;
    say("granted", "");
  }

  private synchronized void endWork() {
    if (!works) return;
    works = false;
    say("revoked", "");
    try {
      Thread.sleep(arguments.length > 7 ? time(7).toMillis() : 0);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    say("stop-handler-ended", "");
  }

  private void follow(String leader) {
    say("leader", leader == null || leader.isEmpty() ? "" : ",\"leader\":\"" + leader + "\"");
  }

  private void sample() {
    double last = now();
    while (true) {
      try {
        Thread.sleep(SAMPLE_MS);
      } catch (InterruptedException interrupted) {
        return;
      }
      boolean leads = works;
      double at = now();
      if (at - last > STOPPED_MS) say("resumed", ",\"leads\":" + leads);
      last = at;
    }
  }

  /** Of the form 15000ms. */
  private Duration time(int index) {
    return Duration.ofMillis(Long.parseLong(arguments[index].replace("ms", "")));
  }

  /** The clock that all processes of the machine share. */
  private static double now() {
    return System.nanoTime() / 1e6;
  }

  private void say(String event, String details) {
    System.out.print("{\"at\":" + now() + ",\"event\":\"" + event + "\",\"identity\":\"" + arguments[3] + "\"" + details + "}\n");
    System.out.flush();
  }
}
