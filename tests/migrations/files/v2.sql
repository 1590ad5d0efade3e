--
-- PostgreSQL database dump
--

\restrict 9aD8LTFXr9btMnxdQccvuY6wbEtjN0DhkoR3CNYhvkLIg7wrh4DCpCf3JQkzEAg

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
    summary_document jsonb GENERATED ALWAYS AS (public.training_db_document(final_metrics_json)) STORED
);


--
-- Name: run_objectives id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_objectives ALTER COLUMN id SET DEFAULT nextval('public.run_objectives_id_seq'::regclass);


--
-- Name: run_scaffolds id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run_scaffolds ALTER COLUMN id SET DEFAULT nextval('public.run_scaffolds_id_seq'::regclass);


--
-- Data for Name: run_objectives; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run_objectives VALUES (1, 'plain', 'QED', NULL, NULL, 2, NULL, 0.7, NULL, NULL, NULL);


--
-- Data for Name: run_scaffolds; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: training_db_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.training_db_version VALUES ('v2');


--
-- Data for Name: training_runs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.training_runs VALUES ('nan', 'w1', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": NaN, "batch_size": "auto"}', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.668408+00', '2026-11-21 12:27:44.668408+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT);
INSERT INTO public.training_runs VALUES ('broken', 'w2', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": ', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.668408+00', '2026-11-21 12:27:44.668408+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT);
INSERT INTO public.training_runs VALUES ('list', 'w3', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '[1, 2]', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.668408+00', '2026-11-21 12:27:44.668408+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT);
INSERT INTO public.training_runs VALUES ('none', 'w4', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.668408+00', '2026-11-21 12:27:44.668408+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT);
INSERT INTO public.training_runs VALUES ('plain', 'w0', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": 0.0001, "max_steps": 100, "objectives": ["QED_maximize", "SA"]}', '{"loss": 0.5, "_step": 99, "objectives/QED_maximize/raw_mean": 0.7, "x": Infinity}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.668408+00', '2026-11-21 12:27:44.668408+00', 100, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT, DEFAULT);


--
-- Name: run_objectives_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.run_objectives_id_seq', 1, true);


--
-- Name: run_scaffolds_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.run_scaffolds_id_seq', 1, false);


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
-- Name: ix_run_objectives_objective_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_objectives_objective_name ON public.run_objectives USING btree (objective_name, raw_mean, run_id);


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
-- Name: ix_training_runs_gradient_method; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_gradient_method ON public.training_runs USING btree (gradient_method, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_host; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_host ON public.training_runs USING btree (host, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_learning_rate; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_learning_rate ON public.training_runs USING btree (learning_rate, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_status; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_status ON public.training_runs USING btree (status, created_at DESC, run_id DESC);


--
-- Name: ix_training_runs_summary_document; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_training_runs_summary_document ON public.training_runs USING gin (summary_document jsonb_path_ops);


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
-- PostgreSQL database dump complete
--

\unrestrict 9aD8LTFXr9btMnxdQccvuY6wbEtjN0DhkoR3CNYhvkLIg7wrh4DCpCf3JQkzEAg

