SELECT * FROM customers
SELECT id, name FROM customers ORDER BY name DESC
SELECT DISTINCT status FROM orders
SELECT count(*) FROM orders
SELECT count(DISTINCT customer_id) AS buyers FROM orders
SELECT status, count(*) AS n, sum(amount) AS total FROM orders GROUP BY status ORDER BY total DESC
SELECT status, avg(amount) AS mean FROM orders GROUP BY status HAVING count(*) > 1
SELECT c.name, sum(o.amount) AS total FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY total DESC LIMIT 5
SELECT c.name, o.id FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id AND o.status = 'paid'
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE amount > 10)
SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)
SELECT name FROM customers WHERE name LIKE 'Z%' OR name LIKE '%''%'
SELECT name FROM customers WHERE country IS NULL OR vip IS NOT NULL
SELECT id, CASE WHEN amount > 50 THEN 'large' WHEN amount > 1 THEN 'small' ELSE 'tiny' END AS size FROM orders
SELECT id FROM orders WHERE amount BETWEEN 1 AND 50 AND NOT status = 'void'
SELECT id FROM orders UNION SELECT order_id FROM items
SELECT id FROM orders UNION ALL SELECT order_id FROM items ORDER BY 1
SELECT id FROM orders EXCEPT SELECT order_id FROM items
SELECT id FROM orders INTERSECT SELECT order_id FROM items
WITH paid AS (SELECT * FROM orders WHERE status = 'paid') SELECT count(*) FROM paid
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 10) SELECT sum(x) FROM c
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC) AS place FROM orders
SELECT id, sum(amount) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM orders
SELECT id, amount - lag(amount) OVER (ORDER BY id) AS step FROM orders
SELECT id, rank() OVER w AS r FROM orders WINDOW w AS (ORDER BY amount)
SELECT coalesce(note, 'none') AS note, nullif(status, 'open') AS s FROM orders
SELECT upper(name), lower(name), length(name), trim(name) FROM customers
SELECT round(avg(amount), 2) AS mean, min(amount), max(amount) FROM orders
SELECT product, sum(qty * price) AS revenue FROM items GROUP BY product
SELECT * FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) t WHERE n > 1
SELECT a.id, b.id FROM orders a CROSS JOIN orders b WHERE a.id < b.id
SELECT 'DROP TABLE orders; -- not really' AS joke, 'INSERT INTO x' AS other
SELECT id AS "update", status AS "delete" FROM orders
SELECT /* the paid ones */ id FROM orders -- and nothing else
SELECT date_trunc('month', placed) AS m, sum(amount) FROM orders GROUP BY 1 ORDER BY 1
SELECT extract(year FROM placed) AS y, count(*) FROM orders GROUP BY y
SELECT to_char(placed, 'YYYY-MM') AS m FROM orders
SELECT id, amount::int, placed::date FROM orders
SELECT name FROM customers WHERE name ILIKE '%o%' AND name ~ '^\w'
SELECT string_agg(name, ', ' ORDER BY name) FROM customers
SELECT array_agg(id) FROM orders
SELECT DISTINCT ON (customer_id) id, customer_id FROM orders ORDER BY customer_id, placed DESC
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM orders
SELECT count(*) FILTER (WHERE status = 'paid') FROM orders
SELECT d::date FROM generate_series('2024-01-01'::timestamp, '2024-01-05', interval '1 day') d
SELECT * FROM customers c CROSS JOIN LATERAL (SELECT max(amount) AS top FROM orders o WHERE o.customer_id = c.id) m
SELECT status, sum(amount) FROM orders GROUP BY GROUPING SETS ((status), ())
SELECT customer_id, status, sum(amount) FROM orders GROUP BY CUBE (customer_id, status)
SELECT jsonb_build_object('id', id) ->> 'id' FROM orders
SELECT now() - interval '7 days', current_date, age(now())
SELECT unnest(ARRAY[1, 2, 3])
SELECT E'a\'b', $$it's$$, U&'\0041'
VALUES (1, 'a'), (2, 'b')
TABLE customers
SELECT id FROM orders ORDER BY amount DESC NULLS LAST FETCH FIRST 2 ROWS ONLY
EXPLAIN (FORMAT JSON) SELECT * FROM orders
SHOW server_version
SELECT relname FROM pg_catalog.pg_class LIMIT 1
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'
SELECT width_bucket(amount, 0, 100, 10), ntile(4) OVER (ORDER BY amount) FROM orders
SELECT coalesce(sum(amount) FILTER (WHERE placed >= date '2024-02-01'), 0) FROM orders
SELECT make_date(2024, 1, 1) + id FROM orders
