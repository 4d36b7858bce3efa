// A leader elector of client-go and nothing else, to share a Lease with: arguments are a kubeconfig, the namespace and name
// of the Lease, an identity, and the three durations. Built by proof/control-plane/go-build.ts with the modules of the servers.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The instants are those of the clock that all processes of the machine share.
func say(event, leader string) {
	var now unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	fmt.Printf("{\"at\":%f,\"event\":%q,\"leader\":%q}\n", float64(now.Nano())/1e6, event, leader)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func duration(text string) time.Duration {
	duration, err := time.ParseDuration(text)
	must(err)
	return duration
}

func main() {
	kubeconfig, namespace, name, identity := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	must(err)
	client, err := coordination.NewForConfig(config)
	must(err)
	ctx, release := context.WithCancel(context.Background())
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		// client-go releases before it says that it has stopped: the work has to end first.
		say("revoked", "")
		release()
	}()
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name},
			Client:     client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		LeaseDuration:   duration(os.Args[5]),
		RenewDeadline:   duration(os.Args[6]),
		RetryPeriod:     duration(os.Args[7]),
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { say("granted", identity) },
			OnStoppedLeading: func() { say("stopped", "") },
			OnNewLeader:      func(leader string) { say("leader", leader) },
		},
	})
}
