"""Runs one server inside this process and ends with the process that started it.

    python owned.py litellm ARGS...        the LiteLLM Proxy's own command line
    python owned.py model GGUF PORT        llama.cpp's HTTP server on the loopback address
    python owned.py exec PROGRAM ARGS...   any program, as a child in the same process group
    python owned.py keep USER FOLDER PROGRAM ARGS...
                                           a program with a FOLDER for its data, run as USER (empty: as we are)

Standard input is a pipe that only the owner holds open. When it closes, the owner is gone, however it
went, and the whole process group goes with it. That works on every Unix, unlike a parent-death signal.
A program with a folder gets SIGQUIT first, which makes Postgres end at once and take its shared memory
along, and its folder is removed.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading

PLAIN_TEXT = "{% for message in messages %}{{ message.content }}{% if not loop.last %}\n{% endif %}{% endfor %}"


def end_with_owner():
    # os.read, not sys.stdin: a daemon thread inside a buffered reader can stop the interpreter from ending.
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def litellm(arguments):
    sys.argv = ["litellm", *arguments]
    from litellm.proxy.proxy_cli import run_server

    run_server()


def model(arguments):
    import xllamacpp

    weights, port = arguments
    options = xllamacpp.CommonParams()
    options.model.path = weights
    options.model_alias = {"gemma-3-270m"}
    options.hostnames = ["127.0.0.1"]
    options.port = int(port)
    options.n_ctx = 8192
    options.n_parallel = 2
    # A base model goes on with a text: markers of a conversation would only confuse it.
    options.use_jinja = True
    options.chat_template = PLAIN_TEXT
    # It does not know when to stop either. A caller that names a limit of its own gets that one.
    options.n_predict = 48
    # The likeliest word each time, so that the same question has the same answer.
    options.sampling.temp = 0.0
    # Threads wait for each other by spinning: beside a busy build one thread made 30 tokens a second on two
    # cores, two made 2.
    for threads in (options.cpuparams, options.cpuparams_batch):
        threads.n_threads = 1
        threads.poll = 0
    options.ui = False
    options.warmup = False
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = xllamacpp.Server(options)
    print(server.listening_address, flush=True)
    while True:
        signal.pause()


def execute(arguments):
    # The group's SIGTERM reaches the program itself; this process only waits for how it ends.
    child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    sys.exit(child.wait())


def as_user(name):
    """What makes a child of root run as another user: Postgres refuses to run as root."""
    if not name:
        return {}
    user = pwd.getpwnam(name)
    groups = os.getgrouplist(name, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}


def keep(arguments):
    user, folder, *program = arguments
    environment = {**os.environ, "HOME": folder}
    child = subprocess.Popen(
        program, stdin=subprocess.DEVNULL, cwd=folder, env=environment, **as_user(user)
    )
    # Each of these reaches the program itself, as part of the group.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)
    owner_gone, ended = threading.Event(), threading.Event()

    def watch():
        while os.read(0, 1):
            pass
        owner_gone.set()
        child.send_signal(signal.SIGQUIT)
        if not ended.wait(10):
            os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    ended.set()
    if owner_gone.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        keep(sys.argv[2:])
    threading.Thread(target=end_with_owner, daemon=True).start()
    {"litellm": litellm, "model": model, "exec": execute}[sys.argv[1]](sys.argv[2:])
