//! What every store promises, held against each kind of store.
//!
//! A test is written once, as a function of a [`House`](house::House), and runs for every kind:
//! `sqlite::rules::a_call_has_exactly_one_end`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that the tests share"
)]

mod artifacts;
mod clock;
mod commits;
mod costs;
mod crowd;
#[path = "../shared/database.rs"]
mod database;
mod desk;
#[path = "../shared/ended.rs"]
mod ended;
#[path = "../shared/events.rs"]
mod events;
mod history;
mod house;
mod keeping;
mod live;
mod log;
mod recount;
mod rules;

macro_rules! tests {
    ($kind:ident $module:ident: $($name:ident),+ $(,)?) => {
        mod $module {
            $(#[test]
            fn $name() {
                crate::house::run(crate::house::House::$kind(), |house| {
                    Box::pin(crate::$module::$name(house))
                });
            })+
        }
    };
}

/// One module a kind, with all tests.
macro_rules! conformance {
    ($($kind:ident),+ $(,)?) => { $(mod $kind { each_test!($kind); })+ };
}

/// A test that is missing here is dead code, which the compiler tells.
macro_rules! each_test {
    ($kind:ident) => {
        tests!($kind keeping:
            a_good_store_has_no_problems_and_everything_is_looked_at,
            pruning_keeps_sums_chains_and_keys,
            what_another_reader_of_the_log_has_not_got_is_not_pruned,
            an_overview_counts_what_is_there,
            more_tasks_than_a_transaction_takes_are_pruned,
            a_store_that_is_closed_while_it_is_pruned_is_whole,
            a_call_that_is_open_keeps_its_task_from_being_pruned,
            a_task_whose_start_has_to_stay_with_a_call_stays_whole,
            single_calls_that_were_pruned_are_not_counted_as_none,
            a_copy_is_the_same_and_goes_on_where_it_was,
            a_log_that_was_pruned_since_is_not_the_one_that_was_copied,
            a_copy_of_what_was_pruned_since_is_not_gone_on_with,
            a_store_is_not_copied_into_itself,
        );
        tests!($kind rules:
            a_task_begins_with_its_creation_and_has_one,
            a_transition_starts_where_the_task_stands_and_leads_where_it_may,
            a_call_has_exactly_one_end,
            of_many_ends_at_once_one_is_recorded,
            an_end_names_a_call_of_its_own_task,
            a_known_type_in_an_unknown_payload_is_held_to_the_rules,
            a_commit_that_makes_no_sense_is_refused,
            a_call_may_end_after_its_task_did,
            a_call_may_end_in_a_task_that_has_ended_but_not_start,
        );
        tests!($kind commits:
            a_commit_comes_back_with_what_the_store_gave_it,
            many_writers_leave_no_gap_in_any_task,
            identifiers_grow_while_the_clock_jumps_back_and_over_a_restart,
            closing_records_what_waits_and_then_refuses,
            tasks_are_listed_newest_first_and_by_status,
        );
        tests!($kind crowd:
            of_many_requests_with_one_key_one_makes_a_task,
            refusals_of_every_kind_spoil_none_of_the_commits_around_them,
            a_queue_of_one_place_lets_a_thousand_callers_through,
            an_append_that_is_dropped_is_recorded_whole_or_not_at_all,
        );
        tests!($kind live:
            followers_that_come_at_any_time_see_each_event_once,
            a_subscriber_gets_later_events_of_its_task_only,
            a_slow_subscriber_is_told_and_a_slow_follower_misses_nothing,
            a_refused_commit_is_not_told,
            a_piece_of_an_answer_comes_between_its_events_and_is_not_recorded,
        );
        tests!($kind log:
            pages_join_without_a_gap_or_a_repeat,
            types_that_are_not_asked_for_are_passed_over,
            rare_types_among_many_events_are_found_in_more_than_one_step,
            followers_of_the_log_see_each_event_of_many_writers_once,
            a_follower_goes_on_from_its_cursor,
            the_head_grows_and_ends_with_the_store,
        );
        tests!($kind clock:
            a_clock_that_jumps_back_a_day_changes_dates_alone,
            identifiers_grow_also_over_a_restart,
        );
        tests!($kind costs:
            a_call_says_all_that_its_events_say,
            sums_are_exact_and_say_what_they_do_not_know,
            sums_are_grouped_and_limited,
            without_calls_a_total_is_a_row_and_groups_are_none,
            a_sum_that_does_not_fit_is_an_error_and_smaller_groups_still_work,
            an_absurd_token_count_does_not_break_the_sums,
        );
        tests!($kind recount:
            sums_are_what_a_recount_of_the_events_comes_to,
            any_legal_history_rebuilds_to_the_same_answers,
        );
        tests!($kind artifacts:
            a_content_of_any_size_and_of_any_bytes_comes_back,
            a_refused_commit_leaves_no_artifact_and_touches_no_other,
            who_repeats_a_commit_with_its_artifact_is_told_that_it_is_repeated,
            the_size_limit_is_told_with_its_number,
            no_identifier_leads_out_of_the_folder,
        );
    };
}

conformance!(sqlite, postgres);
