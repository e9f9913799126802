# ----------------------------------------------------------------------------------------------------------------------
# From here on this script is the same for every job. It runs on the first node, outside of any container:
#
#   node 1           the job's own gateway, which starts engine, body and recorder beside it, and a stand for the brain:
#                    a small program that starts the brain's ranks with srun when it is asked to
#   nodes 2 .. N+1   the brain's ranks
#
# It says how it stands in status.json, and ends with one of these statuses:
#   0 as it was asked to    20 time limit, all stopped in order     21 a node was lost
#   22 container or Python cannot start   23 no tunnel   24 the gateway failed   25 folder or nodes cannot be used
set -u
umask 077
cd "$folder" || exit 25
chmod -R go-rwx "$folder"

job=${SLURM_JOB_ID:-$$}
nodelist=${SLURM_JOB_NODELIST:-$(hostname -s)}
state=starting text="the job has begun" exit_status='' # what status.json says
url='' address='' port='' tunnel_state='' ready_after=''
gateway='' stand='' tunnel='' trying='' # processes
began=$(date +%s)
why=''      # status with which somebody, or the clock, wants this job to end
private=''  # node 1's own folder, for sockets

# ---- what is said ----------------------------------------------------------------------------------------------------
say() { printf '%s %s\n' "$(date +%T)" "$*"; }

quoted() { printf '"%s"' "$(printf '%s' "$1" | tr '\000-\037' ' ' | sed 's/\\/\\\\/g; s/"/\\"/g')"; }

# Readers find the old file or the new one, never half of one.
tell() {
    state=$1 text=$2
    {
        printf '{"state": "%s", "text": %s, "at": %s, ' "$state" "$(quoted "$text")" "$(date +%s.%N | cut -c1-14)"
        printf '"started_at": %s, "scheduler_id": "%s", "host": "%s", ' "$began" "$job" "$(hostname -s)"
        printf '"address": "%s", "url": "%s", "port": %s, ' "$address" "$url" "${port:-0}"
        printf '"tunnel": "%s", "ready_after_s": %s, ' "$tunnel_state" "${ready_after:-null}"
        printf '"exit_status": %s}\n' "${exit_status:-null}"
    } >"$folder/status.json.new" && mv "$folder/status.json.new" "$folder/status.json"
    say "$state: $text"
}

# ---- the end ---------------------------------------------------------------------------------------------------------
alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

# stop PROCESS SECONDS: asks, waits, insists.
stop() {
    local end=$((SECONDS + $2))
    alive "$1" || return 0
    kill "$1" 2>/dev/null
    while alive "$1" && [ $SECONDS -lt $end ]; do pause 0.1; done
    alive "$1" && kill -9 "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

# Sleeps, but a signal is heard at once.
pause() {
    sleep "$1" &
    local sleeper=$!
    wait $sleeper || kill $sleeper 2>/dev/null
}

# What the steps used, as far as the scheduler knows: from its accounting, or from what runs now.
measure() {
    local fields=JobID,JobName,ElapsedRaw,MaxRSS,TotalCPU,ConsumedEnergyRaw
    timeout 5 sacct -n -P -j "$job" --format=$fields >"$folder/steps.new" 2>/dev/null &&
        [ -s "$folder/steps.new" ] && mv "$folder/steps.new" "$folder/steps.txt"
    timeout 5 sstat -a -n -P -j "$job" --format=JobID,MaxRSS,AveCPU,NTasks,ConsumedEnergyRaw 2>/dev/null |
        awk -v at="$(($(date +%s) - began))" 'NF {print at "|" $0}' >>"$folder/steps.live"
    rm -f "$folder/steps.new"
}

# finish STATUS TEXT: what runs is stopped in order, so that its recordings are complete.
finish() {
    trap '' USR1 USR2 TERM
    tell ending "$2"
    if alive "$gateway" && [ -n "$url" ]; then
        measure # while there is something to look at
        timeout $((close_s + 15)) "$host_python" "$folder/host.py" close "$url" "$folder/token" "$folder/door/cert.pem" "$close_s" ||
            say "not everything ended within $close_s s; it is ended now"
    fi
    measure
    stop "$trying" 2
    stop "$gateway" 20
    stop "$stand" 15
    stop "$tunnel" 5
    # Nobody needs them any more.
    rm -rf "$folder/keys" "$folder/door" "$folder/tunnel" "$private"
    exit_status=$1
    tell ended "$2"
    exit "$1"
}

# ---- the beginning ---------------------------------------------------------------------------------------------------
trap 'why=20' USR1 # Slurm, before the time limit: see --signal above
trap 'why=0' USR2 TERM

tell starting "the job has begun on $(hostname -s)"
SECONDS=0
command -v "$host_python" >/dev/null || finish 25 "there is no $host_python on $(hostname -s): name another host_python"
mapfile -t hosts < <(scontrol show hostnames "$nodelist")
[ ${#hosts[@]} -gt "$nodes" ] || finish 25 "the job has ${#hosts[@]} nodes, but needs $((nodes + 1))"
private=$(mktemp -d "/tmp/reaf-$job-XXXXXX") || finish 25 "/tmp of $(hostname -s) cannot be written to"

if [ -n "$interface" ]; then
    address=$(ip -4 -o addr show dev "$interface" | awk '{split($4, a, "/"); print a[1]; exit}')
else
    address=$("$host_python" "$folder/host.py" address "${hosts[1]}")
fi
[ -n "$address" ] || finish 25 "$(hostname -s) has no address that leads to ${hosts[1]}: name an interface"

# Where a rank has cores of its own, its threads stay on them; elsewhere that would put all ranks on the same one.
environment=ALL
if [ "$pin" = yes ] && scontrol show config | grep -Eq '^TaskPlugin .*(affinity|cgroup)'; then
    environment=ALL,OMP_PROC_BIND=true,OMP_PLACES=threads
fi
if [ "$mpi" = auto ]; then
    mpi=mpiexec
    ! srun --mpi=list 2>&1 | grep -qw pmix || mpi=pmix
fi
# What belongs to this user or to an image shall not change what runs.
export USER=${USER:-$(id -un)} # ch-run wants it
# Ranks call MPI from their main thread only, and containers forbid the other ways of copying.
export PYTHONNOUSERSITE=1 REAF_CACHES=$private/caches
export MPI4PY_RC_THREAD_LEVEL=funneled OMPI_MCA_btl_vader_single_copy_mechanism=none
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi # mpiexec refuses
# PMIx of the node talks to the ranks through files in slurmd's folder, so containers have to see it.
spool=$(scontrol show config | awk '$1 == "SlurmdSpoolDir" {print $3}')
spool=${spool%%/%*}
[ -d "$spool" ] || spool=/tmp
brain_hosts=$(printf "%s:$ranks_per_node," "${hosts[@]:1:$nodes}")
brain_hosts=${brain_hosts%,}
command_lines
say "nodes ${hosts[*]}; $address; MPI by $mpi; the brain: ${ranks[*]}"

last_line() { tail -n 1 "$folder/log" 2>/dev/null | cut -c1-300 | grep . || echo 'see the log'; }

# The containers of the brain's nodes are tried while the gateway starts. That also fetches the image there.
trial_program='import mpi4py; mpi4py.rc.initialize = False; import mpi4py.MPI, services.brain'
"${trial[@]}" -c "$trial_program" >"$private/trial" 2>&1 &
trying=$!

"$host_python" "$folder/stand.py" "$private/brain.stand" --service brain \
    --prefix "$(printf '%q ' "${ranks[@]}")" &
stand=$!

[ "$reach" = direct ] && listen=$address || listen=127.0.0.1
mkfifo "$private/announced"
exec 3<>"$private/announced"
REAF_STANDS=$private REAF_DOORS=tcp://$address REAF_KEYS=$folder/keys REAF_LAYOUT=$layout \
    "${services[@]}" -m services.gateway --serve --home "$folder/home" --host "$listen" --port 0 --places 1 \
    --certificate "$folder/door/cert.pem" --certificate-key "$folder/door/key.pem" \
    --id-prefix "$job_id-" --server-id "$job_id" >"$private/announced" 3>&- &
gateway=$!

line='' part='' heard=no
while [ $heard = no ] && [ $SECONDS -lt "$ready_s" ] && alive "$gateway" && [ -z "$why" ]; do
    if read -r -t 1 part <&3; then heard=yes; fi
    line=$line$part # which may have come in pieces
done
if [ $heard = no ]; then
    [ -z "$why" ] || finish "$why" "it was asked to end before it was ready"
    "${services[@]}" -c 'import services.gateway' || finish 22 "the programs of node 1 cannot be started: see the log"
    alive "$gateway" || finish 24 "the gateway ended before it served: $(last_line)"
    finish 24 "the gateway did not begin to serve within $ready_s s: see the log"
fi
read -r host port < <("$host_python" "$folder/host.py" announced "$line")
[ -n "$port" ] || finish 24 "the gateway said '$line' instead of where it serves"
url=https://$host:$port/

while alive "$trying" && [ $SECONDS -lt "$ready_s" ] && [ -z "$why" ]; do pause 0.2; done
if alive "$trying"; then
    stop "$trying" 2
    [ -n "$why" ] || finish 22 "the brain's nodes did not start a program within $ready_s s"
elif ! wait "$trying"; then
    finish 22 "the brain's programs cannot be started on its nodes: $(tail -n 1 "$private/trial")"
fi
timeout 10 "$host_python" "$folder/stand.py" --ask "$private/brain.stand" >/dev/null || finish 24 "the brain's stand failed"

if [ "$reach" = tunnel ]; then
    tunnel_state=opening
    bash "$folder/tunnel.sh" "$private/tunnel" "$tunnel_port" 127.0.0.1 "$port" "$tunnel_to" "$tunnel_ssh_port" \
        "$folder/tunnel/key" "$folder/tunnel/known_hosts" &
    tunnel=$!
fi
ready_after=$SECONDS
tell serving "simulations can be launched on it"

# ---- while it serves -------------------------------------------------------------------------------------------------
# Those that the scheduler has given up; one that does not answer yet ("idle*") may come back.
lost_nodes() {
    timeout 10 sinfo -h -N -n "$nodelist" -o '%N %t' 2>/dev/null | awk '$2 ~ /^(down|fail)/ {print $1}' | sort -u | xargs
}

watch_tunnel() {
    [ "$reach" = tunnel ] || return 0
    local now seen=$tunnel_state
    now=$(cat "$private/tunnel" 2>/dev/null) || return 0
    if [ "$now" = open ]; then tunnel_opened=$((${tunnel_opened:-0} + 1)); fi
    if [ -n "$now" ] && [ "$now" != "$seen" ]; then
        tunnel_state=$now
        tell serving "simulations can be launched on it"
    fi
    # Once it has stood, it is tried again for as long as the job lasts.
    if [ "${tunnel_opened:-0}" -lt 3 ] && [ $((SECONDS - ready_after)) -ge "$tunnel_patience" ]; then
        finish 23 "no tunnel to $tunnel_to: $(tail -n 1 "$private/tunnel.log")"
    fi
}

round=0
while [ -z "$why" ]; do
    pause 1
    round=$((round + 1))
    if [ -e "$folder/end" ]; then why=0; fi
    if [ $SECONDS -ge $((time_s - stop_s)) ]; then why=20; fi
    alive "$gateway" || finish 24 "the gateway ended by itself: see the log"
    alive "$stand" || finish 24 "the brain's stand ended by itself: see the log"
    watch_tunnel
    if [ $((round % 10)) -eq 0 ]; then
        lost=$(lost_nodes)
        [ -z "$lost" ] || finish 21 "the node $lost was lost"
    fi
    [ $((round % 60)) -ne 0 ] || measure
done
if [ "$why" -eq 20 ]; then finish 20 "its time limit comes: what ran was stopped"; fi
finish 0 "it was asked to end"
