"""check_releases.py HEDDLE PROJECT: what was released, whoever made it, met the gates of the
Evaluation; a retrain trained with what the search found.

Run over the project of the main job, where recovery repaired, swapped and retrained.
"""

import json
import re
import subprocess
import sys

ALWAYS = ["leakage-time-order", "leakage-duplicate-rows", "leakage-single-feature"]


def main():
    heddle, project = sys.argv[1:3]

    def ask(*arguments):
        return json.loads(
            subprocess.run(
                [heddle, "--json", "--project", project, *arguments],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )

    with open(f"{project}/evaluations/delay.yaml") as file:
        own = re.findall(r"^  - id: (\S+)$", file.read(), flags=re.M)
    assert own, "the Evaluation has no gates"
    released = {}
    for release in ask("release", "history", "delay")["releases"]:
        if release["primary"] and release["primary"] not in released:
            released[release["primary"]] = ask("bundle", "inspect", release["primary"])
    assert len(released) > 3, f"recovery released next to nothing: {list(released)}"
    searches, retrains = set(), 0
    for digest, bundle in released.items():
        config, evaluation = bundle["config"], bundle["evaluation"]
        gates = [gate["id"] for gate in evaluation["gates"]]
        assert gates[: len(ALWAYS) + len(own)] == ALWAYS + own, f"{digest}: {gates}"
        assert evaluation["passed"], digest
        searches.add(json.dumps(config["search"]["parameters"], sort_keys=True))
        if config.get("change", {}).get("kind") != "retrain":
            continue
        retrains += 1
        assert "retrain-beats-base" in gates, f"{digest}: {gates}"
        assert evaluation["base"]["bundle"] == config["derived_from"], digest
        assert (
            config["parameters"] == config["search"]["parameters"]
        ), f"{digest}: {config['parameters']}"
        layers = {layer["title"]: layer["digest"] for layer in bundle["layers"]}
        base = {
            layer["title"]: layer["digest"]
            for layer in ask("bundle", "inspect", config["derived_from"])["layers"]
        }
        assert layers["baseline.json"] != base["baseline.json"], f"{digest} has its base's baseline"
    assert len(searches) == 1, f"one search was accepted, the bundles name {searches}"
    assert retrains > 0, "nothing was retrained"
    print(
        f"{len(released)} primaries met {len(ALWAYS) + len(own)} gates and more; {retrains} of them"
        " retrained by the one accepted search"
    )


if __name__ == "__main__":
    main()
