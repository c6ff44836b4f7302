"""A weekly refit as an Airflow DAG, of Airflow 2.4 and later. On a worker that has the project."""

import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator

PROJECT = "/srv/late"

with DAG(
    dag_id="heddle_refit",
    schedule="30 5 * * 1",
    start_date=datetime.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": datetime.timedelta(minutes=30)},
) as dag:
    check = BashOperator(
        task_id="check",
        bash_command=f"heddle --project {PROJECT} check",
        retries=0,
    )
    # 3: a gate or the contract said no. Skipped, and so is what follows: no retry makes it better.
    refit = BashOperator(
        task_id="refit",
        bash_command=f"heddle --project {PROJECT} run --refit --model late --json",
        skip_on_exit_code=3,
    )
    promote = BashOperator(
        task_id="ask_for_the_release",
        bash_command=f"heddle --project {PROJECT} release promote late",
    )
    check >> refit >> promote
