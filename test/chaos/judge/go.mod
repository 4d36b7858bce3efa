// The second judge of the chaos, built by test/support/control-plane/go-build.ts.
module nestjs-leader-election.test/chaos/judge

go 1.25.0

require github.com/anishathalye/porcupine v1.3.1
