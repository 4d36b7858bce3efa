/** The account of the pods and what it may do: the Role of README.md, under the name of the role. */
export function electionManifest(role: string): string {
  return `# What the replicas need to elect a leader for ${role}: kubectl apply -f this file. The pods of the Deployment need
#
#   spec:
#     serviceAccountName: ${role}
#     terminationGracePeriodSeconds: 40 # preStop, drainTimeoutMs and two requestTimeoutMs
#     containers:
#       - env:
#           - name: POD_NAME # the holder identity begins with the name of the pod
#             valueFrom:
#               fieldRef:
#                 fieldPath: metadata.name
apiVersion: v1
kind: ServiceAccount
metadata:
  name: ${role}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: ${role}-election
rules:
  - apiGroups: ['coordination.k8s.io']
    resources: ['leases']
    resourceNames: ['${role}']
    verbs: ['get', 'update', 'watch']
  # create cannot be limited to a name
  - apiGroups: ['coordination.k8s.io']
    resources: ['leases']
    verbs: ['create']
  # @LeaderCron() keeps its jobs in a second Lease:
  # - apiGroups: ['coordination.k8s.io']
  #   resources: ['leases']
  #   resourceNames: ['${role}-schedule']
  #   verbs: ['get', 'update']
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: ${role}-election
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: ${role}-election
subjects:
  - kind: ServiceAccount
    name: ${role}
`;
}

/** The Deployment of a project that has none. */
export function deploymentManifest(role: string): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${role}
spec:
  replicas: 2
  selector:
    matchLabels:
      app: ${role}
  strategy:
    rollingUpdate:
      # A new replica is ready before an old one ends: leadership then moves once in a rollout.
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        app: ${role}
    spec:
      serviceAccountName: ${role}
      # preStop 5 s + drainTimeoutMs 20 s + two requestTimeoutMs of 3 s, and some time for the application's own hooks.
      terminationGracePeriodSeconds: 40
      containers:
        - name: ${role}
          image: ${role} # the image of your application
          env:
            - name: NODE_ENV
              value: production
            # The holder identity begins with the name of the pod.
            - name: POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
          ports:
            - name: http
              containerPort: 3000
          # A probe must not ask who leads: a rollout that waited for a new pod to lead would wait forever.
          readinessProbe:
            tcpSocket:
              port: http
          lifecycle:
            preStop:
              # Until no endpoint leads to this pod any more. It may lead meanwhile.
              sleep:
                seconds: 5
`;
}
