"""What system tests ask that nobody has without root, by file, and why: as_user.py skips these and says so. The reasons are
the rows of docs/user/rootless.md, and for some that the test itself needs root to look at what it is about."""

NO_STORE = "disks lie in memory"
NO_MEMORY_LIMIT = "the controller memory is not delegated: who asks for a limit is refused"
NO_LIMITS = "limits that the kernel does not keep cannot be changed"
NO_MOUNTS = "-v is read-only: a user's files cannot be shown with other owners"
NO_IDS_IN_USR = "files of the machine's /usr are nobody's"
SHARED_IDS = "sandboxes of stored images share their ids: none is of the profile root"
ROOT_LOOKS = "the test itself looks with root's power"
ONE_DAEMON = "who has joined one daemon's namespace to look starts no other one"

EXEMPT = {
    "test_commands": {
        "Kept.test_memory_that_ran_out_is_the_verdict_of_the_command_that_died_by_it_each_time": NO_MEMORY_LIMIT,
        "Verdicts.test_a_command_has_its_result_whatever_becomes_of_its_files": NO_MEMORY_LIMIT,
        "Verdicts.test_a_memory_bomb_inside_a_script_ends_the_script": NO_MEMORY_LIMIT,
        "Verdicts.test_a_memory_bomb_is_named": NO_MEMORY_LIMIT,
        "Verdicts.test_shared_memory_counts_as_memory_up_to_its_size": NO_MEMORY_LIMIT,
        "Verdicts.test_want_of_memory_inside_a_script_that_goes_on_is_named": NO_MEMORY_LIMIT,
    },
    "test_escape": {
        "Escape.test_a_daemon_that_refuses_what_is_weaker_does_not_start_without_a_layer": "it does not start at all: other layers are missing",
        "Escape.test_a_daemon_that_refuses_what_is_weaker_leaves_what_runs_on_as_it_is": NO_STORE,
        "Escape.test_a_probe_that_gets_a_secret_is_seen_to_have_it": ROOT_LOOKS,
        "Escape.test_nothing_gets_out_of_a_kept_sandbox_of_an_image_in_which_commands_are_root": SHARED_IDS,
        "Table": "it is of no machine",
    },
    "test_files": {
        "Watching.test_a_reader_that_goes_leaves_no_process": ROOT_LOOKS,
    },
    "test_posture": {
        "Posture.test_files_of_the_machines_users_are_nobodys_in_image_host": NO_IDS_IN_USR,
        "PostureWhoeverStartedTheDaemon": ONE_DAEMON,
    },
}

# Of tests/escape/probes.py.
PROBES = {
    "RX-02": NO_MEMORY_LIMIT,
}
# What a probe does not get through where these layers are left out, since a user's namespace stops it as well: in it the
# machine's root owns nothing, so no capability is over its files, and no program of its has another user's power. Outside of
# all layers a probe is root of the machine, which no user is.
HELD = {("FS-15", frozenset({"capabilities"})), ("NC-03", frozenset({"no_new_privs", "nosuid"}))}
