// The second judge of the chaos, built by proof/control-plane/go-build.ts.
module nestjs-leader-election.proof/chaos/judge

go 1.25.0

require github.com/anishathalye/porcupine v1.3.1
