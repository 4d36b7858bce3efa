// Leader electors of client-go and nothing else, to share a Lease with. Arguments are a kubeconfig, the namespace and name of
// the Lease, an identity, the three durations, and if they are not as at first how long the work takes to stop, and how many
// electors compete, each with a connection of its own. On SIGTERM the process hands over and ends, on SIGUSR2 its leader
// hands over, and competes again on SIGHUP: when another one leads. Built by proof/control-plane/go-build.ts with the modules of the servers.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	sampleEvery = 10 * time.Millisecond
	// A process that did not run for so long was stopped.
	stopped = 500 * time.Millisecond
)

// The instants are those of the clock that all processes of the machine share.
func now() float64 {
	var now unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	return float64(now.Nano()) / 1e6
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

func argument(index int, otherwise string) string {
	if len(os.Args) > index {
		return os.Args[index]
	}
	return otherwise
}

func version() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "k8s.io/client-go" {
			if module.Replace != nil {
				return module.Replace.Version
			}
			return module.Version
		}
	}
	return ""
}

type candidate struct {
	identity string
	config   rest.Config
	mutex    sync.Mutex
	// Of the work that only a leader does; nil while there is none.
	work context.Context
	// Set while it competes.
	stop  context.CancelFunc
	ended chan struct{}
	// It ends because it was told to.
	isTold atomic.Bool
}

func (c *candidate) say(event, details string) {
	fmt.Printf("{\"at\":%f,\"event\":%q,\"identity\":%q%s}\n", now(), event, c.identity, details)
}

func (c *candidate) leads() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.work != nil && c.work.Err() == nil
}

// Ends the work, if any is being done.
func (c *candidate) endWork() {
	c.mutex.Lock()
	led := c.work != nil
	c.work = nil
	c.mutex.Unlock()
	if !led {
		return
	}
	c.say("revoked", "")
	time.Sleep(duration(argument(8, "0ms")))
	c.say("stop-handler-ended", "")
}

// The work has to end first: client-go releases before it says that it has stopped.
func (c *candidate) leave() {
	c.isTold.Store(true)
	c.endWork()
	c.stop()
	<-c.ended
}

// An elector of client-go competes once.
func (c *candidate) compete() {
	client, err := coordination.NewForConfig(&c.config)
	must(err)
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	c.ended = make(chan struct{})
	c.isTold.Store(false)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: os.Args[2], Name: os.Args[3]},
			Client:     client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: c.identity},
		},
		LeaseDuration:   duration(os.Args[5]),
		RenewDeadline:   duration(os.Args[6]),
		RetryPeriod:     duration(os.Args[7]),
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(work context.Context) {
				c.mutex.Lock()
				c.work = work
				c.mutex.Unlock()
				c.say("granted", "")
			},
			OnStoppedLeading: c.endWork,
			OnNewLeader: func(leader string) {
				c.say("leader", fmt.Sprintf(",\"leader\":%q", leader))
			},
		},
	})
	must(err)
	go func() {
		elector.Run(ctx)
		close(c.ended)
		if c.isTold.Load() {
			return
		}
		if argument(9, "1") == "1" {
			// As Kubernetes' own components do, which the kubelet then restarts.
			os.Exit(1)
		}
		c.compete()
	}()
}

// Says whether the work would have gone on when the process was stopped and continued.
func (c *candidate) sample() {
	last := now()
	for range time.Tick(sampleEvery) {
		leads := c.leads()
		at := now()
		if at-last > float64(stopped.Milliseconds()) {
			c.say("resumed", fmt.Sprintf(",\"leads\":%t", leads))
		}
		last = at
	}
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	must(err)
	count, err := strconv.Atoi(argument(9, "1"))
	must(err)
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGUSR2, syscall.SIGHUP)
	candidates := []*candidate{{identity: os.Args[4], config: *config}}
	if count > 1 {
		// Otherwise all of them would share one connection, as no replicas do.
		config.Proxy = http.ProxyFromEnvironment
		candidates = nil
		for index := range count {
			identity := fmt.Sprintf("%s-%d", os.Args[4], index+1)
			candidates = append(candidates, &candidate{identity: identity, config: *config})
		}
	}
	for _, c := range candidates {
		c.compete()
	}
	candidates[0].say("ready", fmt.Sprintf(",\"version\":%q", version()))
	go candidates[0].sample()
	resting := map[*candidate]bool{}
	for signal := range told {
		if signal == syscall.SIGHUP {
			for c := range resting {
				c.compete()
			}
			clear(resting)
			continue
		}
		var leaving sync.WaitGroup
		for _, c := range candidates {
			if resting[c] || signal == syscall.SIGUSR2 && !c.leads() {
				continue
			}
			resting[c] = true
			leaving.Go(c.leave)
		}
		leaving.Wait()
		if signal == syscall.SIGTERM {
			return
		}
	}
}
