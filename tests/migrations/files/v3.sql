--
-- PostgreSQL database dump
--

\restrict kpMqnvn3cIkoWqvVCffnn8ECf47xM9PhR93mb6n6mKh9rBlYXtogI2tMB6W60Ju

-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: training_db_document(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.training_db_document(source text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT
    AS $_$
BEGIN
    RETURN source::jsonb;
EXCEPTION WHEN others THEN
    BEGIN
        RETURN (
            SELECT string_agg(
                CASE
                    WHEN token[1] IN ('NaN', 'Infinity', '-Infinity')
                        THEN '{"$float":"' || token[1] || '"}'
                    WHEN token[1] ~ '^"\$+(float|text)"\s*:$'
                        THEN '"$' || substr(token[1], 2)
                    WHEN token[1] ~ '^".*"$' AND regexp_replace(token[1], '\\[^u]', '', 'g')
                            ~* '\\u0000|\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..)\\ud[c-f]'
                        THEN '{"$text":'
                            || to_jsonb(substr(token[1], 2, length(token[1]) - 2))::text || '}'
                    ELSE token[1]
                END, '' ORDER BY place)
            FROM regexp_matches(
                source, '"(?:[^"\\]|\\.)*"(?:\s*:)?|-?Infinity|NaN|[^"IN-]+|.', 'g'
            ) WITH ORDINALITY AS found (token, place)
        )::jsonb;
    EXCEPTION WHEN others THEN
        RETURN NULL;
    END;
END
$_$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: metric_names; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.metric_names (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: metric_names_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.metric_names_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: metric_names_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.metric_names_id_seq OWNED BY public.metric_names.id;


--
-- Name: run_artifacts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_artifacts (
    id bigint NOT NULL,
    run_number bigint NOT NULL,
    artifact_type text NOT NULL COLLATE pg_catalog."C",
    filepath text NOT NULL,
    size_bytes bigint,
    metadata_json text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: run_artifacts_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.run_artifacts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: run_artifacts_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.run_artifacts_id_seq OWNED BY public.run_artifacts.id;


--
-- Name: run_events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_events (
    id bigint NOT NULL,
    run_number bigint NOT NULL,
    happened_at timestamp with time zone DEFAULT now() NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    message text NOT NULL,
    data_json text,
    event_key text COLLATE pg_catalog."C"
);


--
-- Name: run_events_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.run_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: run_events_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.run_events_id_seq OWNED BY public.run_events.id;


--
-- Name: run_history_key_metrics; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_history_key_metrics (
    id bigint NOT NULL,
    run_id text NOT NULL COLLATE pg_catalog."C",
    step bigint NOT NULL,
    loss double precision,
    grad_norm double precision,
    learning_rate double precision,
    objective_scores_json text,
    "timestamp" timestamp with time zone
);


--
-- Name: run_history_key_metrics_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.run_history_key_metrics_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: run_history_key_metrics_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.run_history_key_metrics_id_seq OWNED BY public.run_history_key_metrics.id;


--
-- Name: run_history_segments; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_history_segments (
    run_number bigint NOT NULL,
    metric_id bigint NOT NULL,
    writer bigint NOT NULL,
    first_row bigint NOT NULL,
    last_row bigint NOT NULL,
    count bigint NOT NULL,
    min double precision,
    max double precision,
    non_finite_count bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    row_numbers bytea,
    cells bytea NOT NULL
);
ALTER TABLE ONLY public.run_history_segments ALTER COLUMN cells SET STORAGE EXTERNAL;


--
-- Name: run_history_tails; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_history_tails (
    run_number bigint NOT NULL,
    writer bigint NOT NULL,
    first_row bigint NOT NULL,
    last_row bigint NOT NULL,
    block bytea NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='100', toast.autovacuum_vacuum_scale_factor='0', toast.autovacuum_vacuum_threshold='100');
ALTER TABLE ONLY public.run_history_tails ALTER COLUMN block SET STORAGE EXTERNAL;


--
-- Name: run_metrics; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_metrics (
    run_number bigint NOT NULL,
    metric_id bigint NOT NULL,
    count bigint NOT NULL,
    non_finite_count bigint NOT NULL,
    other_count bigint NOT NULL,
    first double precision,
    first_step bigint,
    last double precision,
    last_step bigint,
    min double precision,
    min_step bigint,
    max double precision,
    max_step bigint,
    mean double precision
)
WITH (fillfactor='80', autovacuum_vacuum_scale_factor='0.02');


--
-- Name: run_objectives; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_objectives (
    id bigint NOT NULL,
    run_id text NOT NULL COLLATE pg_catalog."C",
    objective_name text NOT NULL COLLATE pg_catalog."C",
    objective_alias text COLLATE pg_catalog."C",
    uniprot text COLLATE pg_catalog."C",
    weight double precision,
    direction text COLLATE pg_catalog."C",
    raw_mean double precision,
    normalized_mean double precision,
    raw_std double precision,
    normalized_std double precision
);


--
-- Name: run_objectives_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.run_objectives_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: run_objectives_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.run_objectives_id_seq OWNED BY public.run_objectives.id;


--
-- Name: run_scaffolds; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_scaffolds (
    id bigint NOT NULL,
    run_id text NOT NULL COLLATE pg_catalog."C",
    scaffold_id text NOT NULL COLLATE pg_catalog."C",
    scores_json text,
    pareto_rank bigint,
    cluster_id bigint
);


--
-- Name: run_scaffolds_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.run_scaffolds_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: run_scaffolds_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.run_scaffolds_id_seq OWNED BY public.run_scaffolds.id;


--
-- Name: run_tags; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run_tags (
    run_number bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    value text COLLATE pg_catalog."C"
);


--
-- Name: training_db_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.training_db_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: training_runs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.training_runs (
    run_id text NOT NULL COLLATE pg_catalog."C",
    wandb_run_id text COLLATE pg_catalog."C",
    wandb_url text COLLATE pg_catalog."C",
    run_name text COLLATE pg_catalog."C",
    chain_of_custody_id text COLLATE pg_catalog."C",
    config_file_path text COLLATE pg_catalog."C",
    host text COLLATE pg_catalog."C",
    instance_id text COLLATE pg_catalog."C",
    created_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    duration_seconds bigint,
    status text DEFAULT 'launched'::text NOT NULL COLLATE pg_catalog."C",
    batch_size bigint,
    learning_rate double precision,
    beta double precision,
    gradient_method text COLLATE pg_catalog."C",
    num_gpus bigint,
    num_objectives bigint,
    num_scaffolds bigint,
    config_json text,
    final_metrics_json text,
    blog_post_url text COLLATE pg_catalog."C",
    conversation_s3_key text COLLATE pg_catalog."C",
    crash_report_s3_key text COLLATE pg_catalog."C",
    error_log_s3_key text COLLATE pg_catalog."C",
    crash_analysis_s3_key text COLLATE pg_catalog."C",
    created_at_db timestamp with time zone DEFAULT now() NOT NULL,
    updated_at_db timestamp with time zone DEFAULT now() NOT NULL,
    max_steps bigint,
    gradient_accumulation_steps bigint,
    max_grad_norm double precision,
    mixed_precision boolean,
    gradient_checkpointing boolean,
    enable_moving_targets boolean,
    n_clusters bigint,
    return_groups boolean,
    final_loss double precision,
    final_grad_norm double precision,
    final_learning_rate double precision,
    total_training_steps bigint,
    config_document jsonb GENERATED ALWAYS AS (public.training_db_document(config_json)) STORED,
    summary_document jsonb GENERATED ALWAYS AS (public.training_db_document(final_metrics_json)) STORED,
    number bigint,
    notes text,
    parent_run_id text COLLATE pg_catalog."C",
    group_name text COLLATE pg_catalog."C",
    heartbeat_at timestamp with time zone,
    deleted_at timestamp with time zone,
    git_branch text COLLATE pg_catalog."C",
    git_commit text COLLATE pg_catalog."C",
    git_dirty boolean,
    history_layout text
);


--
-- Name: training_runs_number_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.training_runs_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: training_runs_number_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.training_runs_number_seq OWNED BY public.training_runs.number;


--
-- Name: metric_names id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric_names ALTER COLUMN id SET DEFAULT nextval('public.metric_names_id_seq'::regclass);


--
-- Name: run_artifacts id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_artifacts ALTER COLUMN id SET DEFAULT nextval('public.run_artifacts_id_seq'::regclass);


--
-- Name: run_events id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_events ALTER COLUMN id SET DEFAULT nextval('public.run_events_id_seq'::regclass);


--
-- Name: run_history_key_metrics id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_history_key_metrics ALTER COLUMN id SET DEFAULT nextval('public.run_history_key_metrics_id_seq'::regclass);


--
-- Name: run_objectives id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_objectives ALTER COLUMN id SET DEFAULT nextval('public.run_objectives_id_seq'::regclass);


--
-- Name: run_scaffolds id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_scaffolds ALTER COLUMN id SET DEFAULT nextval('public.run_scaffolds_id_seq'::regclass);


--
-- Name: training_runs number; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_runs ALTER COLUMN number SET DEFAULT nextval('public.training_runs_number_seq'::regclass);


--
-- Data for Name: metric_names; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.metric_names VALUES (1, 'loss');


--
-- Data for Name: run_artifacts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run_artifacts VALUES (1, 1, 'plot', 'a.png', NULL, NULL, '2026-11-21 16:16:19.621813+00');


--
-- Data for Name: run_events; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run_events VALUES (1, 1, '2026-11-21 16:16:19.621813+00', 'note', 'began', NULL, NULL);


--
-- Data for Name: run_history_key_metrics; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: run_history_segments; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run_history_segments VALUES (1, 1, 0, 0, 0, 1, 0.5, 0.5, 0, 'float', NULL, '\x70636f2103004004010600000000100000000000000000ff050000');


--
-- Data for Name: run_history_tails; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run_history_tails VALUES (1, 0, 1, 1, '\x180000005b5b312c22666c6f6174222c312c302c32372c302c305d5d70636f2103004004010600000000100000000000000080fe050000');


--
-- Data for Name: run_metrics; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run_metrics VALUES (1, 1, 2, 0, 0, 0.5, 0, 0.25, 1, 0.25, 1, 0.5, 0, 0.375);


--
-- Data for Name: run_objectives; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run_objectives VALUES (1, 'plain', 'QED', NULL, NULL, 2, NULL, 0.7, NULL, NULL, NULL);


--
-- Data for Name: run_scaffolds; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: run_tags; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run_tags VALUES (1, 'good', NULL);


--
-- Data for Name: training_db_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.training_db_version VALUES ('v3');


--
-- Data for Name: training_runs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.training_runs VALUES ('nan', 'w1', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": NaN, "batch_size": "auto"}', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:16:19.621813+00', '2026-11-21 16:16:19.621813+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.training_runs VALUES ('list', 'w3', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '[1, 2]', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:16:19.621813+00', '2026-11-21 16:16:19.621813+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT, 4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.training_runs VALUES ('none', 'w4', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:16:19.621813+00', '2026-11-21 16:16:19.621813+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT, 5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.training_runs VALUES ('plain', 'w0', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": 0.0001, "max_steps": 100, "objectives": ["QED_maximize", "SA"]}', '{"loss": 0.5, "_step": 99, "objectives/QED_maximize/raw_mean": 0.7, "x": Infinity}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:16:19.621813+00', '2026-11-21 16:16:19.621813+00', 100, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.training_runs VALUES ('broken', 'w2', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": ', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:16:19.621813+00', '2026-11-21 16:16:19.621813+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '={broken');


--
-- Name: metric_names_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.metric_names_id_seq', 1, false);


--
-- Name: run_artifacts_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.run_artifacts_id_seq', 1, true);


--
-- Name: run_events_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.run_events_id_seq', 1, true);


--
-- Name: run_history_key_metrics_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.run_history_key_metrics_id_seq', 1, false);


--
-- Name: run_objectives_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.run_objectives_id_seq', 1, true);


--
-- Name: run_scaffolds_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.run_scaffolds_id_seq', 1, false);


--
-- Name: training_runs_number_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.training_runs_number_seq', 5, true);


--
-- Name: metric_names pk_metric_names; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric_names
    ADD CONSTRAINT pk_metric_names PRIMARY KEY (id);


--
-- Name: run_artifacts pk_run_artifacts; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_artifacts
    ADD CONSTRAINT pk_run_artifacts PRIMARY KEY (id);


--
-- Name: run_events pk_run_events; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_events
    ADD CONSTRAINT pk_run_events PRIMARY KEY (id);


--
-- Name: run_history_key_metrics pk_run_history_key_metrics; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_history_key_metrics
    ADD CONSTRAINT pk_run_history_key_metrics PRIMARY KEY (id);


--
-- Name: run_history_segments pk_run_history_segments; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_history_segments
    ADD CONSTRAINT pk_run_history_segments PRIMARY KEY (run_number, metric_id, writer, first_row);


--
-- Name: run_history_tails pk_run_history_tails; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_history_tails
    ADD CONSTRAINT pk_run_history_tails PRIMARY KEY (run_number, writer, first_row);


--
-- Name: run_metrics pk_run_metrics; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_metrics
    ADD CONSTRAINT pk_run_metrics PRIMARY KEY (run_number, metric_id);


--
-- Name: run_objectives pk_run_objectives; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_objectives
    ADD CONSTRAINT pk_run_objectives PRIMARY KEY (id);


--
-- Name: run_scaffolds pk_run_scaffolds; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_scaffolds
    ADD CONSTRAINT pk_run_scaffolds PRIMARY KEY (id);


--
-- Name: run_tags pk_run_tags; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_tags
    ADD CONSTRAINT pk_run_tags PRIMARY KEY (run_number, name);


--
-- Name: training_runs pk_training_runs; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_runs
    ADD CONSTRAINT pk_training_runs PRIMARY KEY (run_id);


--
-- Name: training_db_version training_db_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_db_version
    ADD CONSTRAINT training_db_version_pkc PRIMARY KEY (version_num);


--
-- Name: metric_names uq_metric_names_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric_names
    ADD CONSTRAINT uq_metric_names_name UNIQUE (name);


--
-- Name: run_events uq_run_events_run_number_event_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_events
    ADD CONSTRAINT uq_run_events_run_number_event_key UNIQUE (run_number, event_key);


--
-- Name: run_objectives uq_run_objectives_run_id_objective_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_objectives
    ADD CONSTRAINT uq_run_objectives_run_id_objective_name UNIQUE (run_id, objective_name);


--
-- Name: run_scaffolds uq_run_scaffolds_run_id_scaffold_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_scaffolds
    ADD CONSTRAINT uq_run_scaffolds_run_id_scaffold_id UNIQUE (run_id, scaffold_id);


--
-- Name: training_runs uq_training_runs_wandb_run_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_runs
    ADD CONSTRAINT uq_training_runs_wandb_run_id UNIQUE (wandb_run_id);


--
-- Name: ix_run_artifacts_run_number; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_artifacts_run_number ON public.run_artifacts USING btree (run_number, artifact_type);


--
-- Name: ix_run_events_run_number; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_events_run_number ON public.run_events USING btree (run_number, happened_at, id);


--
-- Name: ix_run_history_key_metrics_run_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_history_key_metrics_run_id ON public.run_history_key_metrics USING btree (run_id, step);


--
-- Name: ix_run_metrics_metric_id_max; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_metrics_metric_id_max ON public.run_metrics USING btree (metric_id, max, run_number);


--
-- Name: ix_run_metrics_metric_id_min; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_metrics_metric_id_min ON public.run_metrics USING btree (metric_id, min, run_number);


--
-- Name: ix_run_objectives_objective_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_objectives_objective_name ON public.run_objectives USING btree (objective_name, raw_mean, run_id);


--
-- Name: ix_run_tags_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_tags_name ON public.run_tags USING btree (name, value, run_number);


--
-- Name: ix_training_runs_batch_size; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_batch_size ON public.training_runs USING btree (batch_size, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_config_document; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_config_document ON public.training_runs USING gin (config_document jsonb_path_ops);


--
-- Name: ix_training_runs_created_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_created_at ON public.training_runs USING btree (created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_deleted_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_deleted_at ON public.training_runs USING btree (run_id) WHERE (deleted_at IS NOT NULL);


--
-- Name: ix_training_runs_gradient_method; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_gradient_method ON public.training_runs USING btree (gradient_method, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_group_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_group_name ON public.training_runs USING btree (group_name, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_host; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_host ON public.training_runs USING btree (host, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_learning_rate; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_learning_rate ON public.training_runs USING btree (learning_rate, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_parent_run_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_parent_run_id ON public.training_runs USING btree (parent_run_id);


--
-- Name: ix_training_runs_status; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_status ON public.training_runs USING btree (status, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_summary_document; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_summary_document ON public.training_runs USING gin (summary_document jsonb_path_ops);


--
-- Name: uq_training_runs_number; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX uq_training_runs_number ON public.training_runs USING btree (number);


--
-- Name: run_artifacts fk_run_artifacts_run_number_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_artifacts
    ADD CONSTRAINT fk_run_artifacts_run_number_training_runs FOREIGN KEY (run_number) REFERENCES public.training_runs(number) ON DELETE CASCADE;


--
-- Name: run_events fk_run_events_run_number_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_events
    ADD CONSTRAINT fk_run_events_run_number_training_runs FOREIGN KEY (run_number) REFERENCES public.training_runs(number) ON DELETE CASCADE;


--
-- Name: run_history_key_metrics fk_run_history_key_metrics_run_id_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_history_key_metrics
    ADD CONSTRAINT fk_run_history_key_metrics_run_id_training_runs FOREIGN KEY (run_id) REFERENCES public.training_runs(run_id) ON DELETE CASCADE;


--
-- Name: run_history_segments fk_run_history_segments_metric_id_metric_names; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_history_segments
    ADD CONSTRAINT fk_run_history_segments_metric_id_metric_names FOREIGN KEY (metric_id) REFERENCES public.metric_names(id);


--
-- Name: run_history_segments fk_run_history_segments_run_number_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_history_segments
    ADD CONSTRAINT fk_run_history_segments_run_number_training_runs FOREIGN KEY (run_number) REFERENCES public.training_runs(number) ON DELETE CASCADE;


--
-- Name: run_history_tails fk_run_history_tails_run_number_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_history_tails
    ADD CONSTRAINT fk_run_history_tails_run_number_training_runs FOREIGN KEY (run_number) REFERENCES public.training_runs(number) ON DELETE CASCADE;


--
-- Name: run_metrics fk_run_metrics_metric_id_metric_names; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_metrics
    ADD CONSTRAINT fk_run_metrics_metric_id_metric_names FOREIGN KEY (metric_id) REFERENCES public.metric_names(id);


--
-- Name: run_metrics fk_run_metrics_run_number_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_metrics
    ADD CONSTRAINT fk_run_metrics_run_number_training_runs FOREIGN KEY (run_number) REFERENCES public.training_runs(number) ON DELETE CASCADE;


--
-- Name: run_objectives fk_run_objectives_run_id_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_objectives
    ADD CONSTRAINT fk_run_objectives_run_id_training_runs FOREIGN KEY (run_id) REFERENCES public.training_runs(run_id) ON DELETE CASCADE;


--
-- Name: run_scaffolds fk_run_scaffolds_run_id_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_scaffolds
    ADD CONSTRAINT fk_run_scaffolds_run_id_training_runs FOREIGN KEY (run_id) REFERENCES public.training_runs(run_id) ON DELETE CASCADE;


--
-- Name: run_tags fk_run_tags_run_number_training_runs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_tags
    ADD CONSTRAINT fk_run_tags_run_number_training_runs FOREIGN KEY (run_number) REFERENCES public.training_runs(number) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--

\unrestrict kpMqnvn3cIkoWqvVCffnn8ECf47xM9PhR93mb6n6mKh9rBlYXtogI2tMB6W60Ju

